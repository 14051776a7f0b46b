// The mesh over connections in memory: how they come up, are watched and ended, and what neighbours are told.
import { test } from 'tap'
import { meshLimits as limits } from '../../src/mesh/limits.ts'
import { Mesh, type MeshEvents } from '../../src/mesh/mesh.ts'
import type { Step } from '../../src/protocol/edge-messages.ts'
import { protocolLimits } from '../../src/protocol/limits.ts'
import { calm, type TestPage, TestStage } from '../support/mesh-stage.ts'

const candidate: Step = { type: 'candidate', text: 'candidate:0 a' }

test('pages come up, and know how far away the other is', async (t) => {
  const stage = new TestStage()
  const [a, b] = await stage.two()
  t.strictSame(a.told, [['up', 'b', 0]])
  t.strictSame(b.told, [['up', 'a', 0]])
  t.equal(stage.network.connections.length, 2)
  a.mesh.connect(['b'])
  t.equal(stage.network.connections.length, 2, 'once')
  const [, chunks] = stage.network.connections[0]?.channels ?? []
  t.equal(chunks?.bufferedAmountLowThreshold, limits.lowBytes)
  await stage.clock.pass(limits.pingEveryMs)
  t.strictSame(a.all('rtt'), [['b', 0]])
  const [figures] = a.mesh.figures()
  t.strictSame(figures, {
    ...{ peer: 'b', rttMs: 0, upBps: 0, downBps: 0, sentBytes: 0, gotBytes: 0, asks: 0, sends: 0 },
  })
})

test('a part goes from one to the other', async (t) => {
  const stage = new TestStage()
  const [a, b] = await stage.two()
  const bytes = new Uint8Array(500_000).fill(7)
  a.memory.setBytes('r/1', bytes.length)
  a.memory.write('r/1', 0, bytes)
  a.mesh.tellHave([{ key: 'r/1', bytes: bytes.length, isWhole: true }])
  await calm()
  t.strictSame(b.all('have'), [['a', 'r/1', 500_000, true]])
  t.ok(b.mesh.ask('a', 'r/1', 0))
  t.equal(b.mesh.figures()[0]?.asks, 1)
  await calm()
  t.strictSame(b.all('end'), [['a', 'r/1', false]])
  t.equal(Buffer.compare(b.memory.join('r/1'), bytes), 0)
  a.mesh.push('b', 'r/1')
  await calm()
  t.strictSame(b.all('push'), [['a', 'r/1']])
  const [sender, receiver] = [a.mesh.figures()[0], b.mesh.figures()[0]]
  t.equal(sender?.sentBytes, 1_000_000)
  t.equal(receiver?.gotBytes, 1_000_000)
  t.equal(Math.round(sender?.upBps ?? 0), 1_000_000 * 8 * (1_000 / limits.rateMs))
  t.notOk(a.mesh.ask('nobody', 'r/1', 0))
  a.mesh.cancel('nobody', 'r/1')
  a.mesh.push('nobody', 'r/1')
})

test('what this page holds is told once, and to those who come later', async (t) => {
  const stage = new TestStage()
  const [a, b] = await stage.two()
  const parts = Array.from({ length: 300 }, (_, at) => ({ key: `r/${at}`, isWhole: true }))
  a.mesh.tellHave(parts)
  a.mesh.tellHave(parts)
  a.mesh.tellLost(['r/0', 'r/999'])
  await calm()
  t.equal(b.all('have').length, 300)
  t.strictSame(b.all('lost'), [['a', 'r/0']])
  const c = stage.add('c')
  a.mesh.connect(['c'])
  await calm()
  t.equal(c.all('have').length, 299)
  t.ok(c.told.findIndex(([name]) => name === 'up') < c.told.findIndex(([name]) => name === 'have'))
  a.mesh.tellHave([{ key: 'r/1', bytes: 5, isWhole: true }])
  await calm()
  t.strictSame(c.all('have').at(-1), ['a', 'r/1', 5, true], 'more is known of it')
})

test('what is lost is sent no further', async (t) => {
  const stage = new TestStage()
  const [a, b] = await stage.two({ uploadBps: 80_000 })
  a.memory.setBytes('r/1', 100_000)
  a.memory.write('r/1', 0, new Uint8Array(100_000))
  b.mesh.ask('a', 'r/1', 0)
  await calm()
  a.mesh.tellLost(['r/1'])
  await calm()
  t.strictSame(b.all('end'), [['a', 'r/1', true]])
  b.mesh.ask('a', 'r/1', 0)
  await calm()
  t.equal(a.mesh.figures()[0]?.sends, 1)
  a.mesh.drop('b')
  await calm()
  t.equal(stage.clock.timers, 0, 'nor to a peer that is gone')
})

test('a page that gives nothing has nothing, until it gives again', async (t) => {
  const stage = new TestStage()
  const [a, b] = await stage.two()
  a.memory.write('r/1', 0, new Uint8Array(10))
  a.mesh.tellHave([{ key: 'r/1', isWhole: false }])
  b.mesh.ask('a', 'r/1', 0)
  await calm()
  a.mesh.setUpload(0)
  a.mesh.tellHave([{ key: 'r/2', isWhole: true }])
  await calm()
  t.strictSame(b.all('end'), [['a', 'r/1', true]])
  t.strictSame(b.all('lost'), [['a', 'r/1']])
  t.equal(b.all('have').length, 1)
  b.mesh.ask('a', 'r/1', 0)
  await calm()
  t.equal(b.all('end').length, 2)
  a.mesh.setUpload(1_000_000)
  a.mesh.setUpload(2_000_000)
  await calm()
  t.strictSame(b.all('have').slice(1), [
    ['a', 'r/1', undefined, false],
    ['a', 'r/2', undefined, true],
  ])
  const c = stage.add('c', { uploadBps: 0 })
  c.mesh.tellHave([{ key: 'r/3', isWhole: true }])
  c.mesh.connect(['b'])
  await calm()
  t.equal(b.all('have').length, 3)
  c.mesh.tellLost(['r/3'])
  await calm()
  t.equal(b.all('lost').length, 1)
})

test('what does not come up in time is given up', async (t) => {
  const stage = new TestStage()
  stage.network.isUp = false
  const [a, b] = await stage.two()
  await stage.clock.pass(limits.upMsMax - 1)
  t.strictSame([a.told, b.told], [[], []])
  await stage.clock.pass(1)
  t.strictSame(a.told, [['down', 'b', 'failed']])
  t.strictSame(b.told, [['down', 'a', 'failed']])
  t.equal(a.mesh.counters().failures, 1)
  t.equal(stage.clock.timers, 0)
})

test('a peer that says nothing any more is down', async (t) => {
  const stage = new TestStage()
  const [a, b] = await stage.two()
  stage.network.isUp = false
  await stage.clock.pass(limits.pingEveryMs * limits.pingsUnansweredMax)
  t.strictSame(a.all('down'), [])
  await stage.clock.pass(limits.pingEveryMs)
  t.strictSame(a.all('down'), [['b', 'silent']])
  t.strictSame(b.all('down'), [['a', 'closed']])
  t.equal(stage.clock.timers, 0)
})

test('a peer that answers no ping, but says something, is there', async (t) => {
  const stage = new TestStage()
  const [a] = await stage.two()
  const [, far] = stage.network.connections
  const control = far?.channels[0]
  const send = control?.send.bind(control)
  if (control !== undefined) {
    control.send = (data) => {
      if (!String(data).includes('pong')) send?.(data)
    }
  }
  await stage.clock.pass(limits.pingEveryMs * 10)
  t.strictSame(a.all('down'), [])
})

test('connections end for a reason', async (t) => {
  const stage = new TestStage()
  const a = stage.add('a')
  for (const id of 'bcdef') stage.add(id)
  a.mesh.connect([...'bcdef'])
  await calm()
  t.equal(a.mesh.figures().length, 5)
  a.mesh.drop('b')
  a.mesh.gone('c')
  stage.pages.get('d')?.mesh.close()
  stage.network.connections[3]?.fail()
  await calm()
  t.strictSame(a.all('down'), [
    ['b', 'dropped'],
    ['c', 'gone'],
    ['d', 'closed'],
    ['e', 'failed'],
  ])
  t.strictSame(stage.pages.get('b')?.all('down'), [['a', 'closed']])
  a.mesh.drop('b')
  a.mesh.close()
  t.equal(a.all('down').length, 4)
  t.strictSame(a.mesh.figures(), [])
  a.mesh.connect(['b'])
  t.equal(stage.clock.timers, 0)
})

test('what is no message ends the connection, and no other one', async (t) => {
  const bad: Record<string, [0 | 1, string | ArrayBuffer]> = {
    'no JSON': [0, '{'],
    'not a text': [0, new ArrayBuffer(4)],
    'too long': [0, ' '.repeat(protocolLimits.meshMessageCharsMax + 1)],
    'no chunk': [1, 'chunk'],
    'a chunk of nothing': [1, new ArrayBuffer(20)],
  }
  for (const [name, [channel, data]] of Object.entries(bad)) {
    const stage = new TestStage()
    const [a] = await stage.two()
    stage.add('c').mesh.connect(['a'])
    await calm()
    stage.network.connections[1]?.channels[channel]?.send(data)
    await calm()
    t.strictSame(a.all('down'), [['b', 'bytes']], name)
    t.equal(a.mesh.figures().length, 1)
    t.equal(a.mesh.counters().faults, 1)
  }
})

test('messages of a kind that is not known are skipped', async (t) => {
  const stage = new TestStage()
  const [a] = await stage.two()
  stage.network.connections[1]?.channels[0]?.send('{"kind":"dance"}')
  await calm()
  t.strictSame(a.all('down'), [])
})

test('a peer that floods is put out', async (t) => {
  const stage = new TestStage()
  const [a] = await stage.two()
  const control = stage.network.connections[1]?.channels[0]
  const have = '{"kind":"have","parts":[]}'
  for (let sent = 0; sent < limits.messagesBurst - 30; sent += 1) control?.send(have)
  await calm()
  t.strictSame(a.all('down'), [])
  await stage.clock.pass(1_000)
  for (let sent = 0; sent < 2 * limits.messagesPerSecond; sent += 1) control?.send(have)
  await calm()
  t.strictSame(a.all('down'), [['b', 'bytes']])
})

test('a peer that takes nothing of what it is told is given up', async (t) => {
  const stage = new TestStage()
  const [a] = await stage.two()
  stage.network.isUp = false
  for (let sequence = 0; sequence < 40_000; sequence += 1) {
    a.mesh.tellHave([{ key: `${'r'.repeat(20)}/${sequence}`, isWhole: true }])
  }
  t.strictSame(a.all('down'), [['b', 'slow']])
})

test('there are bounds for connections and offers', async (t) => {
  const stage = new TestStage()
  const a = stage.add('a')
  const ids = Array.from({ length: limits.linksMax + 1 }, (_, at) => `p${at}`)
  a.mesh.connect(ids)
  t.equal(stage.network.connections.length, limits.linksMax)
  t.equal(a.mesh.counters().refused, 1)
  const b = stage.add('b')
  const offer: Step = { type: 'offer', text: 'v=0\r\nm=application 9 x\r\n' }
  const made = (): number => stage.network.connections.length - limits.linksMax
  const offerAnd = (id: string): void => {
    b.mesh.takeStep(id, offer)
    b.mesh.drop(id)
  }
  for (let sent = 0; sent < 100; sent += 1) offerAnd('x')
  t.equal(made(), 1, 'one page has no more than one a second')
  for (let sent = 0; sent < limits.offersBurst; sent += 1) offerAnd(`y${sent}`)
  t.equal(made(), limits.offersBurst)
  t.equal(b.mesh.counters().refused, 100)
  stage.clock.advance(1_000)
  offerAnd('x')
  t.equal(made(), limits.offersBurst + 1)
  a.mesh.close()
  b.mesh.close()
  t.equal(stage.clock.timers, 0)
})

test('steps that do not fit are ignored, or the end of the connection', async (t) => {
  const stage = new TestStage()
  const a = stage.add('a')
  a.mesh.takeStep('x', candidate)
  a.mesh.takeStep('x', { type: 'answer', text: 'v=0' })
  t.equal(stage.network.connections.length, 0)
  const media = 'v=0\r\nm=application 9 x\r\nm=video 9 x\r\n'
  a.mesh.takeStep('x', { type: 'offer', text: media })
  await calm()
  t.equal(stage.network.connections[0]?.remoteDescription, null, 'no media')
  a.mesh.takeStep('y', { type: 'offer', text: 'm=application 9 x' })
  await calm()
  t.strictSame(a.told, [['down', 'y', 'failed']], 'what the browser does not take')
})

test('candidates wait for their description; there is a bound', async (t) => {
  const stage = new TestStage()
  const [a, b] = [stage.add('a'), stage.add('b')]
  // The answers' steps reach the page that offers the other way round.
  const late: Step[] = []
  b.onStep = (_to, step) => late.push(step)
  a.mesh.connect(['b'])
  await calm()
  t.strictSame(
    late.map(({ type }) => type),
    ['answer', 'candidate', 'candidate'],
  )
  for (let sent = 0; sent < limits.candidatesMax - 2; sent += 1) {
    a.mesh.takeStep('b', { type: 'candidate', text: 'nonsense' })
  }
  for (const step of late.reverse()) a.mesh.takeStep('b', step)
  a.mesh.takeStep('b', candidate)
  await calm()
  t.strictSame(a.all('up'), [['b', 0]])
  t.strictSame(stage.network.connections[0]?.candidates, ['candidate:1 b', 'candidate:1 a'])
})

test('a browser without WebRTC has a mesh in which nobody comes up', async (t) => {
  const stage = new TestStage()
  const a = stage.add('a')
  const broken = new Mesh(
    {
      ...{ clock: stage.clock, random: () => 0, memory: a.memory },
      createConnection: () => {
        throw new DOMException('no', 'NotSupportedError')
      },
    },
    {
      iceServers: [],
      uploadBps: 0,
      events: { ...({} as MeshEvents), onDown: (...values) => a.told.push(['down', ...values]) },
    },
  )
  broken.connect(['b'])
  t.strictSame(a.told, [['down', 'b', 'failed']])
  t.equal(broken.counters().failures, 1)
})

test('only relays, and servers that are told later', async (t) => {
  const stage = new TestStage()
  const a = stage.add('a', { isRelayed: true, iceServers: [{ urls: 'turn:one' }] })
  a.mesh.connect(['b'])
  a.mesh.setIceServers([{ urls: 'turn:two' }])
  a.mesh.connect(['c'])
  t.strictSame(
    stage.network.connections.map(({ config }) => config),
    [
      { iceServers: [{ urls: 'turn:one' }], iceTransportPolicy: 'relay' },
      { iceServers: [{ urls: 'turn:two' }], iceTransportPolicy: 'relay' },
    ],
  )
  stage.add('d').mesh.connect(['e'])
  t.strictSame(stage.network.connections[2]?.config, { iceServers: [] })
})

test('a call from inside of a notice may end the connection', async (t) => {
  const stage = new TestStage()
  const b = stage.add('b')
  let isDropping = true
  const a: TestPage = stage.add('a', {
    events: {
      ...({} as MeshEvents),
      onUp: () => {},
      onDown: (peer, reason) => a.told.push(['down', peer, reason]),
      onStep: (to, step) => a.onStep(to, step),
      onHave: (peer, key) => {
        a.told.push(['have', key])
        if (isDropping) a.mesh.drop(peer)
        isDropping = false
      },
    },
  })
  a.mesh.connect(['b'])
  await calm()
  b.mesh.tellHave([
    { key: 'r/1', isWhole: true },
    { key: 'r/2', isWhole: true },
  ])
  await calm()
  t.strictSame(a.told, [
    ['have', 'r/1'],
    ['down', 'b', 'dropped'],
  ])
})
