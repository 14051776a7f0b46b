/** What a swarm decides: who is sent to whom, what is believed and checked, who is put out, what remains of who comes back. */
import { readPartKey } from '@kairo/client/protocol'
import { test } from 'tap'
import { leaseLimits, pageSwarmLimits as limits, swarmLimits } from '../../../src/limits/swarm.ts'
import { type ScriptedPage, ScriptedSwarm } from '../../support/swarm-pages.ts'
import { digestOf } from '../../support/swarm-stage.ts'

const holds = (page: ScriptedPage, key: string): boolean =>
  page.entry.page.held.has(key, readPartKey(key))

const kinds = (page: ScriptedPage): string[] => page.heard.splice(0).map(({ kind }) => kind)

function quiet(...pages: ScriptedPage[]): void {
  for (const page of pages) page.heard.length = 0
}

test('who has it whole: neighbours first, then those named least', async (t) => {
  const swarm = new ScriptedSwarm()
  const pages = swarm.enterMany(6)
  const [a, b, c, d, e, f] = pages as [ScriptedPage, ...ScriptedPage[]] as ScriptedPage[]
  if (!a || !b || !c || !d || !e || !f) throw new Error('six pages')
  a.want('v/7')
  a.got('v/7')
  for (const page of [b, c]) page.state({ held: [{ key: 'v/5', count: 4 }] })
  quiet(...pages)
  const named: string[] = []
  for (const page of [d, e, f]) {
    page.want('v/7')
    const [from] = page.take('from')
    t.match(from, { key: 'v/7', isWhole: true, forMs: limits.wholeWaitMs })
    t.equal(from?.peers.length, 3)
    named.push(from?.peers[0] ?? '')
    t.equal(page.take('digests').length, 1)
  }
  t.equal(new Set(named).size, 3, 'not all are sent to the same page first')
  b.state()
  c.state({ held: [{ key: 'v/8', count: 1 }], uploadBps: 0 })
  f.want('v/7')
  t.match(f.take('from'), [{ peers: [a.id] }], 'who let it go, or sends nothing, is not named')
  a.state()
  d.want('v/7')
  t.strictSame(kinds(d), ['grant'], 'nobody has it any more')
})

test('who is sent to others in vain is let fetch', async (t) => {
  const swarm = new ScriptedSwarm()
  const [a, b] = [swarm.enter(), swarm.enter()]
  a.want('v/1')
  a.got('v/1')
  quiet(a, b)
  for (let time = 0; time < limits.sentToOthersMax; time += 1) {
    b.want('v/1')
    t.strictSame(kinds(b), ['digests', 'from'])
  }
  b.want('v/1')
  t.strictSame(kinds(b), ['grant'])
  b.got('v/1')
  t.equal(await swarm.count('claims_total', { verdict: 'agreed' }), 1)
})

test('a page far from who has it is told to connect', async (t) => {
  const swarm = new ScriptedSwarm()
  const pages = swarm.enterMany(40)
  const [first] = pages as [ScriptedPage]
  const far = pages.find(({ id }) => id !== first.id && !first.entry.page.links.has(id))
  if (far === undefined) throw new Error('somebody is far')
  first.want('v/1')
  quiet(...pages)
  far.want('v/1', 20_000)
  t.match(far.heard, [{ kind: 'peers', connect: [first.id] }, { kind: 'from' }])
  const near = pages.find(({ id }) => first.entry.page.links.has(id) && id !== far.id)
  near?.want('v/1', 20_000)
  quiet(...pages)
  first.got('v/1')
  t.strictSame(kinds(far), ['digests'], 'it is a neighbour now')
  t.strictSame(near && kinds(near), ['digests'])
  t.ok(far.entry.page.links.size <= limits.linksMax)
})

test('pages that fetched the first part by themselves have checked one another', async (t) => {
  const swarm = new ScriptedSwarm()
  const [a, b, c] = [swarm.enter(), swarm.enter(), swarm.enter()]
  let grants = 0
  const play = (key: string, withinMs: number): void => {
    for (const page of [a, b, c]) page.want(key, withinMs)
    swarm.clock.advance(leaseLimits.gatherMs)
    for (const page of [a, b, c]) {
      const [grant] = page.take('grant')
      if (grant !== undefined) {
        grants += 1
        page.got(key)
      }
      quiet(page)
    }
    swarm.clock.advance(1_000)
  }
  for (const page of [a, b, c]) page.want('v/0', 0)
  for (const page of [a, b, c]) page.got('v/0')
  t.equal(await swarm.count('claims_total', { verdict: 'agreed' }), 2)
  quiet(a, b, c)
  swarm.drawn = 0.99
  for (let part = 1; part <= 100; part += 1) play(`v/${part}`, 10_000)
  t.equal(grants, 100, 'nothing is fetched twice')
  swarm.drawn = 0
  for (let part = 101; part <= 200; part += 1) play(`v/${part}`, 10_000)
  const checks = grants - 200
  t.ok(checks >= 3 && checks <= 1 + 200 / limits.leasesPerCheckSmall, `${checks} checks`)
  t.equal(await swarm.count('answered_total', { how: 'check' }), checks)
})

test('a liar is found by a check, and put out', async (t) => {
  const swarm = new ScriptedSwarm()
  const pages = swarm.enterMany(limits.smallSwarmPages)
  const [liar, b, c, d] = pages as [ScriptedPage, ScriptedPage, ScriptedPage, ScriptedPage]
  // Checks are saved up by what the others fetch.
  for (let part = 0; part < limits.leasesPerCheck; part += 1) {
    d.want(`w/${part}`, 1_000)
    d.got(`w/${part}`)
  }
  liar.want('v/1')
  quiet(...pages)
  b.want('v/1')
  t.strictSame(kinds(b), ['grant'], 'the next one is to check')
  c.want('v/1')
  t.match(c.heard, [{ kind: 'from', peers: [liar.id], isWhole: false }])
  liar.got('v/1', 'bad')
  quiet(c)
  b.got('v/1')
  t.equal(await swarm.count('claims_total', { verdict: 'disputed' }), 1)
  d.want('v/1')
  t.strictSame(kinds(d), ['grant'], 'nobody is told anything while it is open')
  d.got('v/1')
  t.match(liar.take('off'), [{ reason: 'misbehaved' }])
  t.match(c.take('gone'), [{ id: liar.id }])
  quiet(c)
  c.want('v/1')
  t.match(c.take('digests'), [{ parts: [{ key: 'v/1', digest: digestOf('v/1') }] }])
  t.equal(swarm.swarms.load().pages, pages.length - 1)
})

test('two of one household decide nothing about another one', async (t) => {
  const swarm = new ScriptedSwarm()
  const honest = swarm.enter()
  const [x, y] = [swarm.enter({ address: 'x' }), swarm.enter({ address: 'x' })]
  honest.want('v/1')
  honest.got('v/1')
  x.got('v/1', 'bad')
  y.got('v/1', 'bad')
  t.strictSame(honest.take('off'), [])
  const other = swarm.enter()
  other.want('v/1')
  t.strictSame(other.take('from'), [], 'it is open')
  other.got('v/1')
  t.equal(x.take('off').length + y.take('off').length, 2)
  const [p, q] = [swarm.enter(), swarm.enter()]
  p.got('v/2', 'bad')
  q.want('v/2')
  t.strictSame(q.take('digests'), [], 'who was not asked is not believed alone')
})

test('nobody is sent to a page that it reported', async (t) => {
  const swarm = new ScriptedSwarm()
  const [mute, other, page] = [swarm.enter(), swarm.enter(), swarm.enter()]
  mute.want('v/1')
  mute.got('v/1')
  mute.want('v/2')
  other.state({ held: [{ key: 'v/1', count: 1 }] })
  page.say({ kind: 'report', peer: mute.id, reason: 'silent', key: 'v/0' })
  quiet(page)
  page.want('v/1')
  t.match(page.take('from'), [{ peers: [other.id] }])
  other.leave()
  quiet(page)
  page.want('v/1')
  page.want('v/2')
  t.strictSame(kinds(page), ['grant', 'grant'])
})

test('who asks what a part is hears it as soon as it is known', async (t) => {
  const swarm = new ScriptedSwarm()
  const [a, b, c] = [swarm.enter(), swarm.enter(), swarm.enter()]
  quiet(a, b, c)
  b.say({ kind: 'describe', keys: ['v/1'] })
  a.want('v/1')
  t.strictSame(b.heard, [])
  a.got('v/1')
  t.match(b.heard, [{ kind: 'digests', parts: [{ key: 'v/1', digest: digestOf('v/1') }] }])
  c.say({ kind: 'describe', keys: ['v/1'] })
  t.strictSame(kinds(c), ['digests'])
})

test("what varies from page to page is nobody's to share", async (t) => {
  const swarm = new ScriptedSwarm()
  const pages = swarm.enterMany(4)
  for (const [at, page] of pages.entries()) page.got('v/1', `mine ${at}`)
  quiet(...pages)
  for (const page of pages) {
    page.want('v/1')
    t.strictSame(kinds(page), ['grant'])
  }
  t.ok((await swarm.count('claims_total', { verdict: 'varies' })) > 0)
})

test('reports of neighbours in two address groups put a page out', async (t) => {
  const swarm = new ScriptedSwarm()
  const bad = swarm.enter()
  const [b, c] = [swarm.enter({ address: 'h' }), swarm.enter({ address: 'h' })]
  const d = swarm.enter({ address: 'i' })
  const report = { kind: 'report', peer: bad.id, reason: 'bytes', key: 'v/1' } as const
  for (const page of [b, b, c]) page.say(report)
  t.strictSame(bad.take('off'), [])
  const stranger = new ScriptedSwarm().enter()
  stranger.say(report)
  d.say(report)
  t.match(bad.take('off'), [{ kind: 'off', reason: 'misbehaved' }])
  t.match(b.take('gone'), [{ id: bad.id }])
})

test("one page's reports count for a few", async (t) => {
  const swarm = new ScriptedSwarm()
  const many = swarm.enterMany(limits.reportsPerPageMax + 1)
  const angry = swarm.enter()
  for (const { id } of many) {
    angry.entry.page.links.has(id)
    angry.say({ kind: 'report', peer: id, reason: 'silent', key: 'v/1' })
  }
  const counted = many.filter(({ entry }) => entry.page.reportedBy.size > 0).length
  t.ok(counted <= limits.reportsPerPageMax)
})

test('a page that comes back is who it was', async (t) => {
  const swarm = new ScriptedSwarm()
  const [a, b] = [swarm.enter(), swarm.enter()]
  const { session } = a.entry
  a.want('v/1')
  b.want('v/1')
  quiet(a, b)
  a.leave(true)
  t.match(b.take('grant'), [{ key: 'v/1' }], "its leases are others' at once")
  swarm.clock.advance(swarmLimits.absenceMsMax - 1)
  swarm.swarms.sweep()
  t.strictSame(kinds(b), [], 'nobody was told')
  const again = swarm.enter({ session })
  t.equal(again.id, a.id)
  t.ok(again.entry.page.links.has(b.id))
  const twice = swarm.enter({ session })
  t.equal(twice.id, a.id)
  t.ok(again.isDisplaced)
  twice.leave(true)
  swarm.clock.advance(swarmLimits.absenceMsMax)
  swarm.swarms.sweep()
  t.match(b.take('gone'), [{ id: a.id }])
  t.equal(swarm.swarms.load().pages, 2)
  swarm.clock.advance(swarmLimits.resumeMsMax)
  swarm.swarms.sweep()
  t.equal(swarm.swarms.load().pages, 1)
  t.strictSame(swarm.enter({ session }).id, a.id, 'the id stays its own')
  t.not(swarm.enter({ session: `${session.slice(0, -2)}xx` }).id, a.id)
  t.equal(await swarm.count('entered_total', { how: 'resumed' }), 3)
})

test('pages that cannot connect get digests and nothing else', async (t) => {
  const swarm = new ScriptedSwarm()
  const [a, alone] = [swarm.enter(), swarm.enter({ canConnect: false })]
  t.strictSame(alone.heard, [])
  alone.want('v/1')
  a.want('v/1')
  a.got('v/1')
  alone.got('v/1', 'bad')
  alone.state({ held: [{ key: 'v/1', count: 1 }] })
  alone.say({ kind: 'follow', rendition: 'v' })
  t.strictSame(alone.heard, [])
  alone.want('v/1')
  t.strictSame(kinds(alone), ['digests'])
  const b = swarm.enter()
  t.match(b.heard, [{ kind: 'peers', connect: [a.id] }])
})

test('who has few neighbours left gets new ones', async (t) => {
  const swarm = new ScriptedSwarm()
  const pages = swarm.enterMany(60)
  for (const { entry } of pages) {
    const { size } = entry.page.links
    t.ok(size >= limits.neighboursMin && size <= limits.neighboursFarMax, `${size}`)
  }
  swarm.clock.advance(swarmLimits.stateEveryMs)
  quiet(...pages)
  const [one, ...others] = pages as [ScriptedPage, ...ScriptedPage[]]
  const near = others.filter(({ id }) => one.entry.page.links.has(id))
  for (const page of near) page.leave()
  t.equal(one.take('gone').length, near.length)
  t.ok(one.take('peers').length > 0)
  t.ok(one.entry.page.links.size >= limits.neighboursMin)
})

test('connections that neither side tells of are forgotten', async (t) => {
  const swarm = new ScriptedSwarm()
  const [a, b, c] = [swarm.enter(), swarm.enter(), swarm.enter()]
  const near = (page: ScriptedPage) => [{ id: page.id, rttMs: 5, downBps: 0 }]
  swarm.clock.advance(limits.linkMsMax - 1)
  b.state({ neighbours: near(a) })
  swarm.clock.advance(1)
  a.state()
  t.ok(a.entry.page.links.has(b.id), 'the other one told of it')
  t.equal(a.entry.page.links.get(b.id)?.rttMs, 5)
  t.ok(a.entry.page.links.has(c.id), 'and who has too few is told again to connect')
  t.match(a.heard.at(-1), { kind: 'peers', connect: [c.id] })
})

test('messages of connecting are bounded a pair', async (t) => {
  const swarm = new ScriptedSwarm()
  const [a, b] = [swarm.enter(), swarm.enter()]
  const signal = { kind: 'signal', to: a.id, step: { type: 'candidate', text: '' } } as const
  for (let said = 0; said <= limits.signalBurst; said += 1) b.say(signal)
  t.equal(a.take('signal').length, limits.signalBurst)
  t.equal(await swarm.count('signals_total', { result: 'limited' }), 1)
  swarm.clock.advance(1_000)
  for (let said = 0; said < limits.signalsPerSecond; said += 1) b.say(signal)
  t.equal(a.take('signal').length, limits.signalsPerSecond)
  a.leave(true)
  b.say(signal)
  t.equal(await swarm.count('signals_total', { result: 'undelivered' }), 0, 'spent')
})

test('messages of connecting go to nobody else', async (t) => {
  const swarm = new ScriptedSwarm()
  const pages = swarm.enterMany(40)
  const [first] = pages as [ScriptedPage]
  const far = pages.find(({ id }) => id !== first.id && !first.entry.page.links.has(id))
  quiet(...pages)
  far?.say({ kind: 'signal', to: first.id, step: { type: 'offer', text: 'v=0' } })
  t.strictSame([first.heard, far?.heard], [[], []])
  t.equal(await swarm.count('signals_total', { result: 'unknown' }), 1)
})

test('parts that a page wants are bounded', async (t) => {
  const swarm = new ScriptedSwarm()
  const page = swarm.enter()
  for (let said = 0; said <= limits.wantBurst; said += 1) page.want(`v/${said}`)
  t.equal(page.take('grant').length, limits.wantBurst)
  t.equal(await swarm.count('limited_total', { limit: 'wants' }), 1)
  swarm.clock.advance(1_000)
  for (let said = 0; said < limits.wantsPerSecond; said += 1) page.want(`w/${said}`)
  t.equal(page.take('grant').length, limits.wantsPerSecond)
})

test('what a page says that it holds is bounded', async (t) => {
  const swarm = new ScriptedSwarm()
  const [a, b] = [swarm.enter(), swarm.enter()]
  const held = Array.from({ length: limits.heldRunsMax + 1 }, (_, at) => ({
    ...{ key: `v/${at * 10}`, count: 2 },
  }))
  a.state({ held })
  t.ok(holds(a, 'v/1'))
  t.notOk(holds(a, 'v/2'))
  t.notOk(holds(a, `v/${limits.heldRunsMax * 10}`))
  t.equal(await swarm.count('limited_total', { limit: 'held' }), 1)
  b.state({ held: [{ key: 'v/3.1', count: 1 }] })
  t.ok(holds(b, 'v/3.1'))
  t.notOk(holds(b, 'v/3'))
})

test('parts that are remembered are bounded', async (t) => {
  const swarm = new ScriptedSwarm()
  const page = swarm.enter()
  for (let part = 0; part <= limits.partsMax; part += 1) page.got(`v/${part}`)
  t.equal(swarm.swarms.load().parts, limits.partsMax)
  t.equal(await swarm.count('limited_total', { limit: 'parts' }), 1)
  page.leave()
  t.match(swarm.swarms.load(), { pages: 0, parts: 0 })
  t.equal(swarm.clock.timers, 0, 'nothing is left running')
})
