/** Direct lines between two trackers over real sockets: they come about by themselves, keep order when they take over, and give way when they break. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type Test, test } from 'tap'
import { lastFrame } from '../../src/lines/invitation.ts'
import { directLimits, frameLimits } from '../../src/lines/line-limits.ts'
import { type DirectSide, DirectStage, until } from '../support/direct-sides.ts'

function numbered(number: number, bytes = 8): Uint8Array {
  const frame = new Uint8Array(bytes).fill(1)
  new DataView(frame.buffer).setUint32(1, number)
  return frame
}

function numbers({ frames }: DirectSide): number[] {
  return frames.map(({ frame }) => new DataView(frame.buffer).getUint32(1))
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

/** Two peers with a connection; the first word is what makes them look for a direct line. */
function pair(t: Test): { stage: DirectStage; a: DirectSide; b: DirectSide } {
  const stage = new DirectStage()
  const [a, b] = [stage.add(t, 'a'), stage.add(t, 'b')]
  stage.link('a', 'b', true)
  return { stage, a, b }
}

function isStanding({ transport }: DirectSide): boolean {
  return transport.figures['lines.standing'] === 1
}

async function direct(t: Test) {
  const sides = pair(t)
  sides.a.transport.send('b', 'raft', numbered(0))
  await until(() => isStanding(sides.a) && isStanding(sides.b), 'the line')
  await until(() => sides.b.frames.length === 1, 'the first frame')
  return sides
}

test('a frame between members brings a line, which carries all lanes both ways', async (t) => {
  const { a, b } = await direct(t)
  t.same([a.links, b.links], [['+b'], ['+a']])
  const base = a.baseFrames + b.baseFrames
  for (let number = 1; number < 300; number += 1) {
    t.ok(a.transport.send('b', 'raft', numbered(number, number % 50 === 7 ? 300_000 : 8)))
  }
  b.transport.send('a', 'bulk', numbered(0, 2_000_000))
  b.transport.send('a', 'call', numbered(1))
  await until(() => b.frames.length === 300 && a.frames.length === 2, 'the frames')
  t.same(numbers(b), upTo(300))
  t.ok(b.frames.every(({ peerId, lane }) => peerId === 'a' && lane === 'raft'))
  t.same(a.frames.map(({ lane, frame }) => `${lane} ${frame.byteLength}`).sort(), [
    'bulk 2000000',
    'call 8',
  ])
  t.equal(a.baseFrames + b.baseFrames, base, 'nothing goes over the program any more')
  const { figures } = a.transport
  t.equal(figures['lines.queued_bytes'], 0)
  t.ok((figures['lines.writes'] ?? 0) < 40, 'what is said in a turn goes together')
})

test('order is kept when the direct line takes over, and nothing comes twice', async (t) => {
  const { stage, a, b } = pair(t)
  stage.isSlow = true
  let name = ''
  stage.tells = (address) => {
    name = address.name
    return address
  }
  let sent = 0
  const say = (): boolean => a.transport.send('b', 'call', numbered(sent++))
  for (let calls = 0; calls < directLimits.callsBeforeLine; calls += 1) say()
  await until(() => {
    say()
    return isStanding(a) && isStanding(b)
  }, 'the line')
  while (sent < 1_000) say()
  // On the sockets by now; what was said before still waits on the program's lines.
  await until(() => a.transport.figures['lines.queued_bytes'] === 0, 'the writes')
  stage.link('b', 'c', true)
  stage.tell('c', 'b', 'call', lastFrame(name))
  // Long enough for what waits in the kernel.
  await new Promise((go) => setTimeout(go, 20))
  t.same(b.frames, [], 'somebody else cannot say that it was the last one')
  stage.letGo()
  await until(() => b.frames.length === sent, 'the frames')
  t.same(numbers(b), upTo(sent))
  t.equal(b.transport.figures['lines.gatesForced'], 0)
})

test('a last frame that is lost holds up the others for a while only', async (t) => {
  const { stage, a, b } = pair(t)
  stage.loses = () => true
  a.transport.send('b', 'raft', numbered(0))
  await until(() => isStanding(a) && isStanding(b), 'the line')
  a.transport.send('b', 'raft', numbered(1))
  // Beside the looks of both sides at their lines.
  await until(() => stage.clock.timers === 3, 'the wait at the gate')
  stage.clock.advance(directLimits.gateMs)
  await until(() => b.frames.length === 1, 'what goes over the line')
  t.same(numbers(b), [1])
  t.equal(b.transport.figures['lines.gatesForced'], 1)
})

test('a few calls are no reason for a line', async (t) => {
  const { stage, a, b } = pair(t)
  for (let calls = 1; calls < directLimits.callsBeforeLine; calls += 1) {
    a.transport.send('b', 'call', numbered(calls))
  }
  await until(() => b.frames.length === directLimits.callsBeforeLine - 1, 'the calls')
  t.equal(a.transport.figures['lines.sought'], 0)
  stage.link('a', 'b', false)
})

test('two that ask each other get one line', async (t) => {
  const { a, b } = pair(t)
  a.transport.send('b', 'raft', numbered(0))
  b.transport.send('a', 'raft', numbered(0))
  await until(() => isStanding(a) && isStanding(b), 'the line')
  await until(() => a.frames.length === 1 && b.frames.length === 1, 'the frames')
  const counted = (name: string) => [a, b].map(({ transport }) => transport.figures[name])
  t.same(counted('lines.opened'), [1, 1])
  t.same(counted('lines.invited'), [0, 1], 'the one with the smaller id does not invite')
  t.same([a.links, b.links], [['+b'], ['+a']])
})

test('the end of the connection is the end of the line', async (t) => {
  const { stage, a, b } = await direct(t)
  stage.link('a', 'b', false)
  t.same(
    [a.links, b.links],
    [
      ['+b', '-b'],
      ['+a', '-a'],
    ],
  )
  t.notOk(isStanding(a) || isStanding(b))
  stage.loses = () => true
  a.transport.send('b', 'raft', numbered(1))
  // A cut peer neither looks for a line nor keeps one.
  stage.clock.advance(directLimits.retryMsMax)
  a.transport.send('b', 'raft', numbered(2))
  t.equal(a.transport.figures['lines.sought'], 1)
  t.equal(b.frames.length, 1)
  stage.loses = () => false
  stage.link('a', 'b', true)
  a.transport.send('b', 'raft', numbered(3))
  await until(() => isStanding(a) && isStanding(b), 'the next line')
  await until(() => b.frames.length === 2, 'the frame')
})

test('a line that breaks is told at once; frames go on over the program, and then over the next one', async (t) => {
  const { stage, a, b } = await direct(t)
  stage.clock.advance(directLimits.steadyMs)
  // Its thread ends: the sockets go, the connection stays.
  b.transport.stop()
  await until(() => a.links.length === 2, 'the break')
  t.same(a.links, ['+b', '-b'])
  const c = stage.add(t, 'b')
  stage.link('a', 'b', true)
  t.notOk(a.transport.send('b', 'call', numbered(0)), 'nobody is asked who may be gone')
  const { baseFrames } = a
  t.ok(a.transport.send('b', 'raft', numbered(1)))
  await until(() => c.frames.length === 1, 'the frame over the program')
  t.equal(a.baseFrames, baseFrames + 1)
  stage.clock.advance(frameLimits.blipMs)
  t.same(a.links, ['+b', '-b', '+b'])
  t.ok(a.transport.send('b', 'call', numbered(1)))
  await until(() => c.frames.length === 2, 'the call')
  stage.clock.advance(directLimits.retryMsMin)
  a.transport.send('b', 'raft', numbered(2))
  await until(() => isStanding(a) && isStanding(c), 'the next line')
  a.transport.send('b', 'raft', numbered(3))
  await until(() => c.frames.length === 4, 'the frames')
  t.same(numbers(c), [1, 1, 2, 3])
})

test('a line on which nothing is said stays', async (t) => {
  const { stage, a, b } = await direct(t)
  for (let sweeps = 1; sweeps <= 3 * directLimits.silentSweepsMax; sweeps += 1) {
    stage.clock.advance(frameLimits.sweepMs)
    // Nobody tells that a sign of life came.
    if (sweeps % directLimits.beatSweeps === 0) await new Promise((go) => setTimeout(go, 15))
  }
  t.ok(isStanding(a) && isStanding(b))
  t.same([a.frames.length, b.frames.length], [0, 1], 'nobody above hears of it')
})

test('where there is no way, all goes over the program, and is tried less and less', async (t) => {
  const port = await closedPort()
  const { stage, a, b } = pair(t)
  stage.dialled = (from) => from === 'a'
  stage.tells = (address) => ({ ...address, port })
  const sought = (): number => a.transport.figures['lines.sought'] ?? 0
  const waitsMs: number[] = []
  for (let tries = 1; tries <= 9; tries += 1) {
    let waitedMs = 0
    for (; sought() < tries; waitedMs += 500) {
      if (waitedMs > 0) stage.clock.advance(500)
      a.transport.send('b', 'raft', numbered(0))
    }
    waitsMs.push(waitedMs)
    await until(() => a.transport.figures['lines.failed'] === tries, 'the refusal')
  }
  t.same(waitsMs.slice(1, 5), [1_500, 2_500, 4_500, 8_500], 'each wait is twice the one before')
  t.ok(Math.max(...waitsMs) <= directLimits.retryMsMax + 1_000)
  t.equal(a.transport.figures['lines.opened'], 0)
  await until(() => b.frames.length === a.baseFrames, 'all frames')
  t.same(a.links, ['+b'])
})

test('who may not come in is not invited, and no more lines than there is room for', async (t) => {
  const { stage, a } = pair(t)
  stage.mayInvite = (peerId) => peerId !== 'b'
  t.equal(await a.invite('b'), undefined)
  t.equal(await a.invite('unknown'), undefined, 'without a connection')
  for (let index = 0; index < directLimits.linesMax; index += 1) {
    stage.link('a', `peer ${index}`, true)
    t.ok(await a.invite(`peer ${index}`))
  }
  stage.link('a', 'one more', true)
  t.equal(await a.invite('one more'), undefined)
  stage.link('a', 'peer 0', false)
  t.ok(await a.invite('one more'), 'when one has gone')
  stage.clock.advance(directLimits.openMsMax)
  stage.link('a', 'another', true)
  t.ok(await a.invite('another'), 'when they did not come')
})
