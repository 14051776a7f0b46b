/** Callers that were not invited, neighbours that break the rules of a line, and ways that swallow what is sent: they cost little, and nobody else waits. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import fc from 'fast-check'
import { type Test, test } from 'tap'
import { lanes, lastFrame, readIdentity, readLastFrame } from '../../src/lines/invitation.ts'
import { directLimits, frameLimits } from '../../src/lines/line-limits.ts'
import { callLane } from '../../src/lines/line-tls.ts'
import type { Lane, LineInvitation } from '../../src/transport.ts'
import { callByHand, type DirectSide, DirectStage, until } from '../support/direct-sides.ts'

interface Stage {
  readonly stage: DirectStage
  readonly a: DirectSide
  /** Of the neighbour, which is none of the stage. */
  readonly invitation: LineInvitation
}

async function invited(t: Test): Promise<Stage> {
  const stage = new DirectStage()
  const a = stage.add(t, 'a')
  stage.link('a', 'hostile', true)
  const invitation = await a.invite('hostile')
  if (invitation === undefined) throw new Error('no invitation')
  return { stage, a, invitation }
}

/** Three sockets of a line that stands at the other side. */
async function standing(t: Test): Promise<Stage & { readonly sockets: Record<Lane, TLSSocket> }> {
  const all = await invited(t)
  const sockets = await callByHand(t, all.invitation)
  await until(() => all.a.transport.figures['lines.standing'] === 1, 'the line')
  return { ...all, sockets }
}

/** Resolves when a socket is closed, whatever it says about it. */
function closed(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.on('error', () => {})
    socket.resume()
    if (socket.closed) resolve(true)
    else socket.once('close', () => resolve(true))
  })
}

test('who does not have the secret gets nothing, and keeps nobody from coming', async (t) => {
  const { a, invitation } = await invited(t)
  const call = { host: '127.0.0.1', lane: 'raft', ...invitation } as const
  const refused = (): number => a.transport.figures['lines.refused'] ?? 0
  t.ok(await closed(callLane({ ...call, secret: randomBytes(32) })), 'another secret')
  t.ok(await closed(callLane({ ...call, name: 'x'.repeat(22) })), 'another name')
  t.ok(await closed(callLane({ ...call, name: 'no name at all' })), 'what is no name')
  await until(() => refused() === 3, 'the refusals')
  const plain = connect(invitation.port, '127.0.0.1')
  plain.write('GET / HTTP/1.1\r\n\r\n')
  t.ok(await closed(plain), 'what is no TLS')
  await until(() => refused() === 4, 'the refusal of what is no TLS')
  t.equal(a.transport.figures['lines.standing'], 0)
  await callByHand(t, invitation)
  await until(() => a.transport.figures['lines.standing'] === 1, 'the invited one')
})

test('an invitation is for one line, and for a while', async (t) => {
  const { stage, a, invitation } = await standing(t)
  const call = { host: '127.0.0.1', lane: 'raft', ...invitation } as const
  t.ok(await closed(callLane(call)), 'a second socket of the lane')
  t.equal(a.transport.figures['lines.standing'], 1, 'which does no harm to the first one')
  const next = (await a.invite('hostile')) as LineInvitation
  stage.clock.advance(directLimits.openMsMax)
  t.ok(await closed(callLane({ ...call, ...next })), 'too late')
  const third = (await a.invite('hostile')) as LineInvitation
  stage.link('a', 'hostile', false)
  t.ok(await closed(callLane({ ...call, ...third })), 'after the connection ended')
  await until(() => a.transport.figures['lines.refused'] === 3, 'all in the handshake')
  t.equal(a.transport.figures['lines.standing'], 0)
})

test('a new line of a peer takes the place of the one before', async (t) => {
  const { a, sockets } = await standing(t)
  const ended = closed(sockets.raft)
  const next = (await a.invite('hostile')) as LineInvitation
  const others = await callByHand(t, next)
  await ended
  t.same(a.links, ['+hostile'], 'which breaks nothing')
  others.call.write(Uint8Array.of(0, 1, 42))
  await until(() => a.frames.length === 1, 'the frame')
  t.same([...(a.frames[0]?.frame ?? [])], [42])
})

test('a line that stands again ends the break', async (t) => {
  const { a, sockets } = await standing(t)
  sockets.bulk.destroy()
  await until(() => a.links.length === 2, 'the break')
  await callByHand(t, (await a.invite('hostile')) as LineInvitation)
  await until(() => a.links.length === 3, 'the link')
  t.same(a.links, ['+hostile', '-hostile', '+hostile'])
})

test('what nobody writes ends the line, and the link is told to be broken', async (t) => {
  const cases: [string, Lane, number[]][] = [
    ['a first word that there is not', 'call', [2]],
    ['an empty frame', 'raft', [0, 0]],
    ['a padded length', 'raft', [0, 0x81, 0]],
    ['a frame that is too large', 'bulk', [0, 0xff, 0xff, 0xff, 0x7f]],
  ]
  for (const [name, lane, bytes] of cases) {
    const { stage, a, sockets } = await standing(t)
    sockets[lane].write(Uint8Array.from(bytes))
    await Promise.all(lanes.map((each) => closed(sockets[each])))
    t.same(a.links, ['+hostile', '-hostile'], name)
    t.same(a.frames, [])
    stage.clock.advance(frameLimits.blipMs)
    t.same(a.links, ['+hostile', '-hostile', '+hostile'])
  }
})

test('a frame of which no more comes holds no memory for long', async (t) => {
  const { stage, a, sockets } = await standing(t)
  // A whole frame, then a part of one: where the first has come, the other has, too.
  sockets.raft.write(Uint8Array.of(0, 1, 42, 0x80, 0x80, 0x80, 4, 1, 2, 3))
  await until(() => a.frames.length === 1, 'the first frame')
  const ended = closed(sockets.raft)
  stage.clock.advance(frameLimits.stallMsMax - frameLimits.sweepMs)
  t.equal(a.transport.figures['lines.standing'], 1)
  stage.clock.advance(frameLimits.sweepMs)
  await ended
  t.same(a.links, ['+hostile', '-hostile'])
})

test('a way that swallows everything is noticed by silence', async (t) => {
  const { stage, a, sockets } = await standing(t)
  const [silent, other] = [sockets.call, sockets.raft]
  for (const socket of [silent, other, sockets.bulk]) socket.resume()
  for (let sweeps = 1; sweeps < directLimits.silentSweepsMax; sweeps += 1) {
    stage.clock.advance(frameLimits.sweepMs)
  }
  t.equal(a.transport.figures['lines.standing'], 1)
  stage.clock.advance(frameLimits.sweepMs)
  t.equal(a.transport.figures['lines.standing'], 0)
  t.same(a.links, ['+hostile', '-hostile'])
})

test('who never reads costs its queue and no more, and loses its line', async (t) => {
  const { stage, a, sockets } = await standing(t)
  sockets.call.pause()
  const frame = new Uint8Array(1024 * 1024).fill(1)
  let taken = 0
  const send = (): boolean => a.transport.send('hostile', 'call', frame)
  // What the kernel takes is more than a few megabytes; the rest waits here.
  await until(() => {
    while (send()) taken += 1
    const { 'lines.queued_bytes': queued = 0 } = a.transport.figures
    return queued > frameLimits.queuedBytesMax.call - frame.byteLength
  }, 'a full queue')
  t.ok(taken >= 8)
  t.ok((a.transport.figures['lines.queued_bytes'] ?? 0) <= frameLimits.queuedBytesMax.call)
  t.notOk(send())
  t.ok(a.transport.send('hostile', 'raft', Uint8Array.of(1)), 'other lanes go on')
  // That it talks is no sign that it listens.
  sockets.call.write(Uint8Array.of(0))
  for (let sweeps = 1; sweeps * frameLimits.sweepMs <= frameLimits.stallMsMax; sweeps += 1) {
    t.equal(a.transport.figures['lines.standing'], 1)
    sockets.call.write(Uint8Array.of(1, 7))
    await until(() => a.frames.length === sweeps, 'what it says')
    stage.clock.advance(frameLimits.sweepMs)
  }
  t.same(a.links, ['+hostile', '-hostile'])
  t.equal(a.transport.figures['lines.queued_bytes'], 0)
})

test('who brings too much waits in its own socket', async (t) => {
  const { stage, a, sockets } = await standing(t)
  const flood = Buffer.alloc(2 * frameLimits.framesPerPaceMax * 2, Uint8Array.of(1, 7))
  sockets.raft.write(Buffer.concat([Uint8Array.of(0), flood]))
  await until(() => a.transport.figures['lines.paced'] === 1, 'the pause')
  t.ok(a.frames.length < 2 * frameLimits.framesPerPaceMax)
  await until(() => {
    stage.clock.advance(frameLimits.paceMs)
    return a.frames.length === 2 * frameLimits.framesPerPaceMax
  }, 'the rest')
})

test('bytes that mean nothing end a line or are frames, and nothing else', async (t) => {
  const { stage, a } = await invited(t)
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 600 }),
      fc.constantFrom(...lanes),
      async (bytes, lane) => {
        const sockets = await callByHand(t, (await a.invite('hostile')) as LineInvitation)
        await until(() => a.transport.figures['lines.standing'] === 1, 'the line')
        sockets[lane].end(bytes)
        await Promise.all(lanes.map((each) => closed(sockets[each])))
        t.equal(a.transport.figures['lines.standing'], 0)
        stage.clock.advance(frameLimits.blipMs)
      },
    ),
    { numRuns: 40 },
  )
  t.equal(a.transport.figures['lines.queued_bytes'], 0)
  t.ok(a.links.length === 81 && a.links.at(-1) === '+hostile')
})

test('names are read strictly', async (t) => {
  fc.assert(
    fc.property(fc.string(), fc.uint8Array({ maxLength: 40 }), (text, bytes) => {
      const identity = readIdentity(text)
      t.ok(identity === undefined || /^[\w-]{22}$/.test(identity.name))
      const name = readLastFrame(bytes)
      if (name !== undefined) t.same([...lastFrame(name)], [...bytes])
    }),
  )
  const name = randomBytes(16).toString('base64url')
  t.same(readIdentity(`${name}.2`), { name, lane: 'call' })
  t.equal(readIdentity(`${name}.3`), undefined)
  t.equal(readIdentity(`${name}.2\r\n`), undefined)
  t.equal(readLastFrame(lastFrame(name)), name)
})
