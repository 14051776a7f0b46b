/** The peer's side: what it tells reaches whoever leads, whatever is lost on the way. */
import fc from 'fast-check'
import { test } from 'tap'
import { TrackerError } from '../../src/errors.ts'
import { messageTypes } from '../../src/soft/batch.ts'
import { HeldParts } from '../../src/soft/held-parts.ts'
import type { HeldSubject } from '../../src/soft/questions.ts'
import { type FedSubject, SoftFeeder, type SoftFeederInit } from '../../src/soft/soft-feeder.ts'
import { softFeederLimits, softLimits } from '../../src/soft/soft-limits.ts'
import { SoftShard } from '../../src/soft/soft-shard.ts'
import { ManualClock } from '../support/manual-clock.ts'

const { refreshMs, quietMs, settleMs } = softLimits

/** Lets promises that are ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Members of shards, any of which may lead; a feeder's messages go to the one that does. */
class Stage {
  readonly clock = new ManualClock()
  readonly leaders: SoftShard[]
  readonly messages: { shard: number; bytes: Uint8Array }[] = []
  /** What happens to the next messages; when it is empty they arrive. */
  readonly fates: ('lost' | 'answer lost' | 'refused' | 'silence')[] = []
  term = 1
  #seed = 7

  constructor(shards = 1) {
    this.leaders = Array.from({ length: shards }, () => this.#member())
    for (const leader of this.leaders) leader.lead(this.term)
  }

  readonly random = (): number => {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0
    return this.#seed / 2 ** 32
  }

  #member(): SoftShard {
    return new SoftShard({ clock: this.clock, random: this.random })
  }

  /** Another member leads from now on. */
  change(shard = 0): void {
    this.term += 1
    this.leaders[shard]?.lead(undefined)
    const next = this.#member()
    next.lead(this.term)
    this.leaders[shard] = next
  }

  feeder(peerId: string, init: Partial<SoftFeederInit> = {}): SoftFeeder {
    const send = async (shard: number, bytes: Uint8Array): Promise<Uint8Array> => {
      this.messages.push({ shard, bytes })
      const fate = this.fates.shift()
      if (fate === 'silence') return new Promise(() => {})
      if (fate === 'refused') throw new TrackerError('ERR_INVALID_INPUT', 'refused')
      if (fate === 'lost') throw new TrackerError('ERR_UNAVAILABLE', 'lost')
      const answer = (this.leaders[shard] as SoftShard).answer(peerId, bytes)
      if (fate === 'answer lost') throw new TrackerError('ERR_UNKNOWN_OUTCOME', 'lost')
      return answer
    }
    const { clock, random } = this
    const made = new SoftFeeder({ clock, random, send }, { shardOf: () => 0, ...init })
    made.start()
    return made
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 250) {
      this.clock.advance(Math.min(250, ms - passed))
      await settle()
    }
  }

  /** All that a peer holds, as the leader knows it. */
  held(peerId: string, shard = 0): HeldSubject[] {
    const found: HeldSubject[] = []
    for (let from: number | undefined = 0; from !== undefined; ) {
      const { replies } = (this.leaders[shard] as SoftShard).ask(
        [{ type: 'holdings', peerId, from }],
        'test',
      )
      const [reply] = replies
      if (reply?.type !== 'holdings') throw new Error('a reply of another kind')
      found.push(...reply.held)
      from = reply.next
    }
    return found
  }

  streams(peerId: string, shard = 0): string[] {
    return this.held(peerId, shard)
      .map(({ stream }) => stream)
      .sort()
  }
}

test('a batch a second while something changes, and now and then a small one', async (t) => {
  const stage = new Stage()
  const feeder = stage.feeder('a')
  const subject = feeder.open('s', 'v', 10)
  feeder.setLoad({ uploadFreeKbps: 500, busyPermille: 3, coordinate: undefined })
  for (let segment = 0; segment < 40; segment += 2) subject.addSegments(segment)
  await stage.pass(refreshMs)
  t.equal(stage.messages.length, 1)
  t.equal(stage.held('a')[0]?.ranges.length, 20)
  feeder.setLoad({ uploadFreeKbps: 520, busyPermille: 30, coordinate: undefined })
  await stage.pass(quietMs - refreshMs)
  t.equal(stage.messages.length, 1, 'nothing has changed, or hardly')
  await stage.pass(refreshMs)
  t.equal(stage.messages.length, 2)
  t.ok((stage.messages[0]?.bytes.length ?? 0) > 40)
  t.ok((stage.messages[1]?.bytes.length ?? 99) < 12, 'it only says that it is there')
  subject.addPart(40, 3)
  subject.addPart(40, 3)
  await stage.pass(refreshMs)
  t.same([...(stage.held('a')[0]?.window?.bits ?? [])], [8])
  const [reply] =
    stage.leaders[0]?.ask(
      [
        {
          type: 'holders',
          stream: 's',
          rendition: 'v',
          wanted: { type: 'any' },
          order: 'upload',
          limit: 1,
        },
      ],
      'x',
    ).replies ?? []
  t.same(reply, {
    type: 'holders',
    holders: [{ peerId: 'a', uploadFreeKbps: 500, busyPermille: 3 }],
  })
  await feeder.stop()
  t.equal(stage.leaders[0]?.size?.peers, 0, 'goodbye')
  t.throws(() => feeder.open('s'), { code: 'ERR_STOPPED' })
  await feeder.stop()
  await stage.pass(2 * quietMs)
  t.equal(stage.messages.length, 4)
})

test('a load that moves is told, one that trembles is not', async (t) => {
  const stage = new Stage()
  const feeder = stage.feeder('a')
  feeder.open('s')
  const load = { uploadFreeKbps: 800, busyPermille: 300 }
  const coordinate = { x: 10, y: 0, z: 0, height: 5 }
  const told = async (news: Parameters<typeof feeder.setLoad>[0]): Promise<boolean> => {
    const before = stage.messages.length
    feeder.setLoad(news)
    await stage.pass(refreshMs)
    return stage.messages.length > before
  }
  t.ok(await told({ ...load, coordinate: undefined }))
  t.notOk(await told({ uploadFreeKbps: 890, busyPermille: 345, coordinate: undefined }))
  t.ok(await told({ ...load, busyPermille: 350, coordinate: undefined }))
  t.ok(await told({ uploadFreeKbps: 699, busyPermille: 350, coordinate: undefined }))
  t.ok(await told({ uploadFreeKbps: 699, busyPermille: 350, coordinate }))
  t.notOk(
    await told({ uploadFreeKbps: 699, busyPermille: 350, coordinate: { ...coordinate, x: 11 } }),
  )
  t.ok(await told({ uploadFreeKbps: 699, busyPermille: 350, coordinate: { ...coordinate, z: -2 } }))
  await feeder.stop()
})

test('each shard hears of its own streams', async (t) => {
  const stage = new Stage(3)
  const feeder = stage.feeder('a', { shardOf: (stream) => Number(stream) % 3 })
  for (let stream = 0; stream < 7; stream++) feeder.open(`${stream}`)
  await stage.pass(refreshMs)
  t.same(
    [0, 1, 2].map((shard) => stage.streams('a', shard)),
    [
      ['0', '3', '6'],
      ['1', '4'],
      ['2', '5'],
    ],
  )
  t.equal(feeder.isComplete(0), false)
  await stage.pass(2 * quietMs)
  t.equal(feeder.isComplete(0), true)
  t.equal(feeder.isComplete(9), undefined)
})

test('a new leader knows everything within one refresh', async (t) => {
  const stage = new Stage()
  const feeders = Array.from({ length: 30 }, (_, peer) => stage.feeder(`p${peer}`))
  for (const feeder of feeders)
    for (const stream of ['s', 't', 'u']) feeder.open(stream).setViewers(2)
  await stage.pass(2 * refreshMs)
  t.same([stage.leaders[0]?.size?.peers, stage.leaders[0]?.size?.entries], [30, 90])
  stage.change()
  t.equal(stage.leaders[0]?.size?.peers, 0)
  for (const feeder of feeders.slice(1)) feeder.leaderChanged(0)
  await stage.pass(refreshMs)
  t.equal(stage.leaders[0]?.size?.peers, 29, 'who heard that another one leads')
  await stage.pass(quietMs - refreshMs)
  t.same([stage.leaders[0]?.size?.peers, stage.leaders[0]?.size?.entries], [30, 90])
  t.equal(stage.leaders[0]?.isComplete, false, 'it cannot know yet that this is all')
  await stage.pass(settleMs)
  t.equal(stage.leaders[0]?.isComplete, true)
})

test('a leader that changes after a while without any is told at once', async (t) => {
  const stage = new Stage()
  const feeder = stage.feeder('a')
  feeder.open('s')
  stage.fates.push(...Array<'lost'>(20).fill('lost'))
  await stage.pass(20 * refreshMs)
  t.ok(stage.messages.length < 8, 'it asks less and less often')
  stage.fates.length = 0
  stage.messages.length = 0
  stage.change()
  feeder.leaderChanged(0)
  feeder.leaderChanged(5)
  await stage.pass(refreshMs / 2)
  t.same(stage.streams('a'), ['s'])
})

test('a leader that does not answer is not waited for', async (t) => {
  const stage = new Stage()
  const feeder = stage.feeder('a')
  feeder.open('s')
  stage.fates.push('silence')
  await stage.pass(softFeederLimits.answerMs)
  t.equal(stage.messages.length, 1, 'one batch on its way at a time')
  await stage.pass(softFeederLimits.answerMs)
  t.same(stage.streams('a'), ['s'])
  t.equal(feeder.counters.failures, 1)
})

test('a batch that was to say all is lost, and what it left out with it', async (t) => {
  const stage = new Stage()
  const feeder = stage.feeder('a')
  const [, , closed] = ['s', 't', 'u'].map((stream) => feeder.open(stream))
  await stage.pass(refreshMs)
  stage.fates.push('refused')
  await stage.pass(refreshMs)
  closed?.close()
  stage.fates.push('lost')
  await stage.pass(10 * refreshMs)
  t.same(stage.streams('a'), ['s', 't'])
})

test('what is gone is said again when a batch is lost', async (t) => {
  const stage = new Stage()
  const feeder = stage.feeder('a')
  const [, closed] = ['s', 't'].map((stream) => feeder.open(stream))
  await stage.pass(refreshMs)
  closed?.close()
  stage.fates.push('lost')
  await stage.pass(10 * refreshMs)
  t.same(stage.streams('a'), ['s'])
})

test('a handle of another leader stands for nobody', async (t) => {
  const stage = new Stage()
  const met: string[][] = []
  const others = ['b', 'c'].map((peer) => stage.feeder(peer))
  for (const other of others) other.open('s')
  const feeder = stage.feeder('a', {
    onIntroduced: (_stream, _rendition, peerIds) => met.push([...peerIds].sort()),
  })
  const subject = feeder.open('s')
  await stage.pass(2 * refreshMs)
  subject.introduce(8)
  await stage.pass(refreshMs)
  await Promise.all(others.map((other) => other.stop()))
  for (const peer of ['d', 'e']) stage.feeder(peer).open('s')
  stage.change()
  await stage.pass(2 * refreshMs)
  subject.introduce(8)
  await stage.pass(refreshMs)
  t.same(met, [
    ['b', 'c'],
    ['d', 'e'],
  ])
})

test('more than one batch holds', async (t) => {
  const stage = new Stage()
  const feeder = stage.feeder('a')
  const subjects: FedSubject[] = []
  for (let stream = 0; stream < 4_000; stream++) {
    subjects.push(feeder.open(`${'x'.repeat(90)}${stream}`))
  }
  await stage.pass(refreshMs)
  t.equal(stage.streams('a').length, 4_000)
  t.ok(
    stage.messages.length > 1 &&
      stage.messages.every(({ bytes }) => bytes.length <= softLimits.batchBytesMax),
  )
  subjects.forEach((subject, index) => {
    if (index !== 3_900) subject.close()
  })
  subjects[0]?.close()
  feeder.open('late')
  await stage.pass(refreshMs)
  t.same(stage.streams('a').length, 2)
  stage.change()
  await stage.pass(quietMs)
  t.same(stage.streams('a').length, 2, 'the numbers that are left begin anew')
  t.throws(
    () => {
      for (let stream = 0; stream < softLimits.entriesPerPeerMax; stream++)
        feeder.open(`y${stream}`)
    },
    { code: 'ERR_OVERLOADED' },
  )
})

test('with nothing left to tell it says goodbye, and begins again', async (t) => {
  const stage = new Stage()
  const feeder = stage.feeder('a')
  const subject = feeder.open('s')
  await stage.pass(refreshMs)
  subject.close()
  subject.close()
  subject.setViewers(3)
  await stage.pass(refreshMs)
  t.equal(stage.leaders[0]?.size?.peers, 0)
  const count = stage.messages.length
  await stage.pass(3 * refreshMs)
  t.equal(stage.messages.length, count)
  feeder.open('t')
  await stage.pass(refreshMs)
  t.same(stage.streams('a'), ['t'])
})

test('introductions come with names, each asked for once', async (t) => {
  const stage = new Stage()
  const met: string[][] = []
  for (const peer of ['b', 'c', 'd']) stage.feeder(peer).open('s')
  const feeder = stage.feeder('a', {
    onIntroduced: (stream, rendition, peerIds) =>
      met.push([stream, rendition, ...[...peerIds].sort()]),
  })
  const subject = feeder.open('s')
  await stage.pass(2 * refreshMs)
  subject.introduce(8)
  await stage.pass(refreshMs)
  t.same(met, [['s', '', 'b', 'c', 'd']])
  const questions = (): number =>
    stage.messages.filter(({ bytes }) => bytes[0] === messageTypes.questions).length
  t.equal(questions(), 1)
  subject.introduce(2)
  await stage.pass(refreshMs)
  t.equal(met[1]?.length, 4)
  t.equal(questions(), 1)
  await stage.pass(2 * refreshMs)
  t.equal(met.length, 2, 'not asked again')
  subject.introduce(8)
  stage.fates.push('lost', 'lost', 'lost', 'lost', 'lost', 'lost')
  await stage.pass(60 * refreshMs)
  t.same(met[2], ['s', '', 'b', 'c', 'd'], 'until it was')
})

test('what a shard has no room for is told again later', async (t) => {
  const stage = new Stage()
  stage.leaders[0] = new SoftShard(
    { clock: stage.clock, random: stage.random },
    { limits: { subjectsMax: 1 } },
  )
  stage.leaders[0].lead(1)
  const first = stage.feeder('a')
  const taken = first.open('s')
  await stage.pass(refreshMs)
  const feeder = stage.feeder('b')
  feeder.open('t')
  await stage.pass(2 * refreshMs)
  t.same(stage.streams('b'), [])
  t.ok(feeder.counters.refused > 0)
  taken.close()
  await stage.pass(softFeederLimits.refusedRetryMs + 2 * refreshMs)
  t.same(stage.streams('b'), ['t'])
})

const fates = fc.constantFrom(
  'lost',
  'answer lost',
  'refused',
  'silence',
  'leader',
  'forget',
  'none',
  'none',
  'none',
)
const actions = fc.array(
  fc.record({
    type: fc.constantFrom(
      'open',
      'close',
      'part',
      'segments',
      'remove',
      'viewers',
      'pass',
      'pass',
      'fate',
      'fate',
    ),
    subject: fc.nat(5),
    number: fc.nat(30),
    fate: fates,
  }),
  { minLength: 10, maxLength: 80, size: 'max' },
)

test('whatever is lost, a leader knows in the end what is held', async () => {
  await fc.assert(
    fc.asyncProperty(actions, async (history) => {
      const stage = new Stage()
      const feeder = stage.feeder('a')
      const open = new Map<number, { subject: FedSubject; parts: HeldParts }>()
      for (const { type, subject: which, number, fate } of history) {
        const held = open.get(which)
        if (type === 'open' && held === undefined) {
          open.set(which, { subject: feeder.open(`s${which}`, 'v', 4), parts: new HeldParts(4) })
        } else if (type === 'close') {
          held?.subject.close()
          open.delete(which)
        } else if (type === 'pass') {
          stage.clock.advance(number * 100)
          await settle()
        } else if (type === 'fate') {
          if (fate === 'leader') stage.change()
          else if (fate === 'forget') stage.leaders[0]?.forget('a')
          else if (fate !== 'none') stage.fates.push(fate)
        } else if (held !== undefined) {
          for (const parts of [held.subject, held.parts] as const) {
            if (type === 'part') parts.addPart(number, which % 4)
            else if (type === 'segments') parts.addSegments(number, which + 1)
            else if (type === 'remove' && 'close' in parts) parts.removeSegments(number, which + 1)
            else if (type === 'remove') (parts as HeldParts).remove(number, which + 1)
            else if ('close' in parts) parts.setViewers(number)
            else (parts as HeldParts).viewers = number
          }
        }
      }
      stage.fates.length = 0
      for (let turn = 0; turn < 4; turn++) {
        stage.clock.advance(softFeederLimits.backoffMsMax)
        await settle()
      }
      const wanted = [...open].map(([which, { parts }]) => [`s${which}`, parts.toHolding()])
      const found = stage.held('a').map(({ stream, rendition: _, ...holding }) => [stream, holding])
      const [a, b] = [found, wanted].map((list) => JSON.stringify(list.sort()))
      if (a !== b) throw new Error(`${a} is not ${b}`)
      await feeder.stop()
    }),
    { numRuns: 150 },
  )
})
