// Who gets which rungs: the pure sharing of the budget, and what changes it while streams run.
import fc from 'fast-check'
import { test } from 'tap'
import { silentLogger } from '../../src/logger.ts'
import { Admission, type Demand, type Grant, type Seat } from '../../src/transcode/admission.ts'
import { allocate, type Candidate } from '../../src/transcode/allocate.ts'
import { ManualClock } from '../support/manual-clock.ts'

const candidate = (init: Partial<Candidate> & { cores?: number }): Candidate => ({
  stream: 'a',
  rung: '480p',
  rank: 0,
  running: undefined,
  held: undefined,
  options: [{ encoder: 'libx264', cores: init.cores ?? 0.5, session: undefined }],
  ...init,
})

const share = (candidates: readonly Candidate[], cores: number, sharedCores = 0) => {
  const { admitted, refused, usedCores } = allocate(candidates, {
    cores,
    sharedCores: () => sharedCores,
  })
  return {
    admitted: [...admitted].map(
      ([{ stream, rung }, { encoder }]) => `${stream}/${rung}/${encoder}`,
    ),
    refused: [...refused].map(([{ stream, rung }, reason]) => `${stream}/${rung}: ${reason}`),
    usedCores,
  }
}

test('the first rung of every stream comes before the second of any', async (t) => {
  const all = ['a', 'b'].flatMap((stream) =>
    ['480p', '720p'].map((rung, rank) => candidate({ stream, rung, rank })),
  )
  t.same(share(all, 1.5).admitted, ['a/480p/libx264', 'b/480p/libx264', 'a/720p/libx264'])
  t.same(share(all, 1.5).refused, [
    'b/720p: it needs 0.50 cores, and 0.00 of those for transcoding are free',
  ])
})

test('a running rung goes only for a clearly more useful one', async (t) => {
  const running = [0, 1, 2].map((rank) =>
    candidate({ stream: 'a', rung: `r${rank}`, rank, running: 'libx264' }),
  )
  const next = candidate({ stream: 'b', rung: 'next', rank: 0 })
  t.same(share([...running, next], 1.5).admitted, [
    'a/r0/libx264',
    'a/r1/libx264',
    'b/next/libx264',
  ])
  const small = running.slice(0, 2)
  t.same(share([...small, next], 1).admitted, ['a/r0/libx264', 'a/r1/libx264'])
})

test('a running rung may cost a little more than was thought', async (t) => {
  t.equal(share([candidate({ running: 'libx264', cores: 1.1 })], 1).admitted.length, 1)
  t.equal(share([candidate({ running: 'libx264', cores: 1.2 })], 1).admitted.length, 0)
  t.equal(share([candidate({ cores: 1.1 })], 1).admitted.length, 0)
})

test('a decoder counts once a stream, and only with a rung', async (t) => {
  const two = ['480p', '720p'].map((rung, rank) => candidate({ rung, rank }))
  t.equal(share(two, 2, 0.3).usedCores, 1.3)
  t.equal(share(two, 0.7, 0.3).usedCores, 0)
})

test('hardware has so many sessions, then software takes over where there is room', async (t) => {
  const options = [
    { encoder: 'h264_nvenc', cores: 0.01, session: 'nvenc' },
    { encoder: 'libx264', cores: 1, session: undefined },
  ]
  const many = Array.from({ length: 10 }, (_, index) => candidate({ stream: `s${index}`, options }))
  const { admitted, refused } = share(many, 1.5)
  t.equal(admitted.filter((name) => name.endsWith('nvenc')).length, 8)
  t.same(admitted.slice(8), ['s8/480p/libx264'])
  t.equal(refused.length, 1)
  const running = candidate({ running: 'libx264', options })
  t.same(share([running], 2).admitted, ['a/480p/libx264'], 'what runs is not moved')
  t.match(share([candidate({ options: [] })], 2).refused, [/does not work any more/])
})

test('a held rung stays away, whatever there is', async (t) => {
  t.same(share([candidate({ held: 'it fell behind' })], 9).refused, ['a/480p: it fell behind'])
})

test('the budget is kept, and every rung has its answer', async () => {
  const one = fc.record({
    stream: fc.constantFrom('a', 'b', 'c'),
    rung: fc.string({ minLength: 1, maxLength: 3 }),
    rank: fc.nat(6),
    running: fc.constantFrom(undefined, 'libx264', 'h264_nvenc'),
    held: fc.option(fc.constant('held'), { nil: undefined, freq: 5 }),
    options: fc.array(
      fc.record({
        encoder: fc.constantFrom('libx264', 'h264_nvenc'),
        cores: fc.double({ min: 0, max: 2, noNaN: true }),
        session: fc.constantFrom(undefined, 'nvenc'),
      }),
      { maxLength: 3 },
    ),
  })
  fc.assert(
    fc.property(
      fc.array(one, { maxLength: 30 }),
      fc.double({ min: 0, max: 8, noNaN: true }),
      (all, cores) => {
        const { admitted, refused, usedCores } = allocate(all, { cores, sharedCores: () => 0.1 })
        const sessions = [...admitted.values()].filter(({ session }) => session === 'nvenc').length
        return (
          admitted.size + refused.size === all.length &&
          usedCores <= cores * 1.15 + 1e-9 &&
          sessions <= 8 &&
          [...refused.values()].every((reason) => reason !== '')
        )
      },
    ),
  )
})

class Table {
  readonly clock = new ManualClock()
  eventLoopDelayMs = 0
  idleCores = 100
  readonly dropped: string[] = []
  readonly admission: Admission

  constructor(budgetCores: number) {
    this.admission = new Admission(
      {
        clock: this.clock,
        logger: silentLogger,
        machine: {
          eventLoopDelayMs: () => this.eventLoopDelayMs,
          idleCores: () => this.idleCores,
        },
        onDropped: (reason) => this.dropped.push(reason),
      },
      { budgetCores },
    )
    this.admission.start()
  }

  join(stream: string): { seat: Seat; grants: Grant[]; names: () => string[] } {
    const grants: Grant[] = []
    const seat = this.admission.join(stream, (grant) => grants.push(grant))
    return { seat, grants, names: () => [...(grants.at(-1)?.admitted.keys() ?? [])] }
  }
}

const demand = (...cores: readonly number[]): Demand => ({
  rungs: cores.map((each, index) => ({
    name: `r${index}`,
    options: [{ encoder: 'libx264', cores: each, session: undefined }],
  })),
  sharedCores: 0,
})

test('a new stream takes what another can spare, and gives it back when it leaves', async (t) => {
  const table = new Table(3)
  const a = table.join('a')
  a.seat.request(demand(1, 1, 1))
  t.same(a.names(), ['r0', 'r1', 'r2'])
  const b = table.join('b')
  b.seat.request(demand(1))
  t.same(a.names(), ['r0', 'r1'])
  t.same(b.names(), ['r0'])
  t.same(table.dropped, ['budget'])
  t.match(a.grants.at(-1)?.refused.get('r2'), /it needs 1.00 cores/)
  t.equal(table.admission.usedCores, 3)
  b.seat.leave()
  t.same(a.names(), ['r0', 'r1', 'r2'])
})

test('a stream that falls behind loses its dearest rung for a while, longer each time', async (t) => {
  const table = new Table(9)
  const a = table.join('a')
  a.seat.request(demand(0.5, 0.2, 2))
  t.ok(a.seat.giveUpRung())
  t.same(a.names(), ['r0', 'r1'])
  t.equal(a.grants.at(-1)?.refused.get('r2'), 'encoding fell behind the source')
  table.clock.advance(28_000)
  t.same(a.names(), ['r0', 'r1'])
  table.clock.advance(4_000)
  t.same(a.names(), ['r0', 'r1', 'r2'])
  a.seat.giveUpRung()
  table.clock.advance(58_000)
  t.same(a.names(), ['r0', 'r1'])
  table.clock.advance(4_000)
  t.equal(a.names().length, 3)
  table.clock.advance(6 * 60_000)
  a.seat.giveUpRung()
  table.clock.advance(32_000)
  t.equal(a.names().length, 3, 'a long calm is forgiven')
  t.same(new Set(table.dropped), new Set(['behind']))
})

test('the most useful rung goes last, and then there is nothing to give', async (t) => {
  const table = new Table(9)
  const a = table.join('a')
  a.seat.request(demand(5, 1))
  a.seat.giveUpRung()
  t.same(a.names(), ['r0'])
  a.seat.giveUpRung()
  t.same(a.names(), [])
  t.notOk(a.seat.giveUpRung())
})

test('rungs come back one at a time, and only where the machine has room', async (t) => {
  const table = new Table(9)
  const a = table.join('a')
  a.seat.request(demand(1, 1, 1))
  a.seat.giveUpRung()
  a.seat.giveUpRung()
  table.idleCores = 0.5
  table.clock.advance(60_000)
  t.equal(a.names().length, 1, 'others keep the machine busy')
  table.idleCores = 2
  table.clock.advance(2_000)
  t.equal(a.names().length, 2)
  table.clock.advance(6_000)
  t.equal(a.names().length, 2)
  table.clock.advance(6_000)
  t.equal(a.names().length, 3)
})

test('a late event loop costs a rung, of whichever stream has the dearest', async (t) => {
  const table = new Table(9)
  const [a, b] = [table.join('a'), table.join('b')]
  a.seat.request(demand(1, 1))
  b.seat.request(demand(1, 3))
  table.eventLoopDelayMs = 500
  table.clock.advance(4_000)
  t.equal(b.names().length, 2, 'once is chance')
  table.clock.advance(2_000)
  t.same(b.names(), ['r0'])
  t.match(b.grants.at(-1)?.refused.get('r1'), /playback came first: the peer was 500 ms late/)
  t.same(table.dropped, ['event-loop'])
  table.clock.advance(60_000)
  t.notOk(a.names().length === 2 && b.names().length === 2, 'nothing comes back meanwhile')
  table.admission.stop()
  t.equal(table.clock.timers, 0)
})

test('what children really take corrects what rungs are thought to cost', async (t) => {
  const table = new Table(2)
  const a = table.join('a')
  a.seat.request(demand(0.5, 0.5, 0.5))
  for (let second = 0; second < 40; second += 1) a.seat.measured(3)
  t.ok(Math.abs(table.admission.costFactor - 2) < 0.01)
  table.clock.advance(2_000)
  t.equal(a.names().length, 2)
  t.ok(table.admission.usedCores <= 2.3)
  for (let second = 0; second < 40; second += 1) a.seat.measured(100)
  t.ok(table.admission.costFactor <= 5, 'one odd measurement is bounded')
  a.seat.request({ rungs: [], sharedCores: 0 })
  a.seat.measured(1)
})
