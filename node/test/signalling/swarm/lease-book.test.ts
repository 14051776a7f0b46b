/** Leases: one holder a part, whoever waits is answered, and pages that play alike take turns. */
import fc from 'fast-check'
import { test } from 'tap'
import { leaseLimits as limits } from '../../../src/limits/swarm.ts'
import { LeaseBook, type LeaseNotice } from '../../../src/signalling/swarm/lease-book.ts'
import { fuzzRuns } from '../../support/fuzz.ts'
import { ManualClock } from '../../support/manual-clock.ts'

function bookOf(...pages: string[]) {
  const clock = new ManualClock()
  const [ends, limited] = [[] as string[], [] as string[]]
  const book = new LeaseBook({
    clock,
    onEnd: (end) => ends.push(end),
    onLimit: (limit) => limited.push(limit),
  })
  for (const page of pages) book.enter(page, true)
  /** Time goes on as far as this, and the book does what is due on the way. */
  const pass = (ms: number): LeaseNotice[] => {
    const notices: LeaseNotice[] = []
    const endMs = clock.monotonicMs() + ms
    for (
      let wakeMs = book.wakeAtMs;
      wakeMs !== undefined && wakeMs <= endMs;
      wakeMs = book.wakeAtMs
    ) {
      clock.advance(Math.max(0, wakeMs - clock.monotonicMs()))
      notices.push(...book.tick())
    }
    clock.advance(endMs - clock.monotonicMs())
    return notices
  }
  return { book, clock, ends, limited, pass }
}

const short = (notices: readonly LeaseNotice[]): string[] =>
  notices.map((notice) =>
    notice.kind === 'grant'
      ? `${notice.to} fetches ${notice.key}${notice.isAlone ? ' alone' : ''}`
      : `${notice.to} waits for ${notice.holder}`,
  )

test('the first fetches, others wait for as long as the first deadline allows', async (t) => {
  const { book, pass } = bookOf('a', 'b', 'c', 'd')
  t.match(book.want('a', 'v/1', 20_000), [{ kind: 'grant', to: 'a', forMs: limits.leaseMsMax }])
  t.match(book.want('b', 'v/1', 8_000), [{ kind: 'from', holder: 'a', forMs: 7_000 }])
  t.match(book.want('c', 'v/1', 9_000), [{ forMs: 7_000 }], 'a later one changes nothing')
  t.match(book.want('d', 'v/1', 1_499), [{ forMs: 7_000 }], 'nor one that could not be helped')
  t.match(book.want('d', 'v/1', 1_600), [{ forMs: 600 }])
  t.match(book.want('a', 'v/1', 100), [{ kind: 'grant', to: 'a', forMs: 600 }], 'still the holder')
  t.strictSame(short(pass(599)), [])
  t.strictSame(short(pass(200)), ['b fetches v/1', 'c waits for b', 'd waits for b'])
})

test('a holder that leaves, fails, or is late is followed by the next one', async (t) => {
  const { book, pass, ends } = bookOf('a', 'b', 'c')
  for (const page of ['a', 'b', 'c']) book.want(page, 'v/1', 30_000)
  t.strictSame(short(book.leave('a')), ['b fetches v/1', 'c waits for b'])
  t.strictSame(short(book.failed('c', 'v/1')), [], 'who waits may cease to')
  book.want('c', 'v/1', 30_000)
  t.strictSame(short(book.failed('b', 'v/1')), ['c fetches v/1'])
  book.want('b', 'v/1', 30_000)
  t.strictSame(short(pass(limits.leaseMsMax + limits.stepMs)), ['b fetches v/1'])
  t.strictSame(short(pass(limits.leaseMsMax + limits.stepMs)), [], 'nobody waits')
  t.strictSame(ends, ['left', 'failed', 'expired', 'expired'])
  t.equal(book.size, 0)
  t.equal(book.wakeAtMs, undefined)
})

test("a part that has come is nobody's any more, and who waited is named", async (t) => {
  const { book, clock, ends } = bookOf('a', 'b', 'c')
  for (const page of ['a', 'b', 'c']) book.want(page, 'v/1', 10_000)
  clock.advance(4_000)
  book.has('c', 'v/1')
  t.strictSame(book.settle('v/1'), [['b', 6_000]])
  t.equal(book.holderOf('v/1'), undefined)
  t.strictSame(book.settle('v/1'), [])
  t.strictSame(ends, ['got'])
})

test('three that play alike take turns, whoever asks first', async (t) => {
  const { book, clock, pass } = bookOf('a', 'b', 'c')
  const counts = new Map<string, number>()
  for (let part = 0; part < 30; part += 1) {
    const key = `v/${part}`
    const notices = ['a', 'b', 'c'].flatMap((page) => book.want(page, key, 10_000))
    notices.push(...pass(limits.gatherMs))
    const granted = notices.filter(({ kind }) => kind === 'grant')
    t.equal(granted.length, 1)
    const [{ to } = { to: '' }] = granted
    counts.set(to, (counts.get(to) ?? 0) + 1)
    book.settle(key)
    clock.advance(1_000)
  }
  t.ok(
    [...counts.values()].every((count) => count >= 9 && count <= 11),
    `${[...counts]}`,
  )
})

test('who plays alone, is in a hurry, or has had little is answered at once', async (t) => {
  const { book, pass } = bookOf('a', 'b')
  for (let part = 0; part < 5; part += 1) {
    t.strictSame(short(book.want('a', `v/${part}`, 10_000)), [`a fetches v/${part}`])
  }
  t.strictSame(short(book.want('b', 'v/4', 10_000)), ['b waits for a'])
  t.strictSame(book.want('a', 'v/5', 10_000), [], 'now there is somebody who plays alike')
  t.strictSame(short(book.want('a', 'v/6', 1_000)), ['a fetches v/6'], 'a hurry')
  t.strictSame(short(book.want('b', 'v/7', 10_000)), ['b fetches v/7'], 'less than its share')
  t.strictSame(short(pass(limits.gatherMs)), ['a fetches v/5'], 'nobody else came')
})

test('who sends nothing holds nothing', async (t) => {
  const { book, pass } = bookOf('a', 'b')
  book.enter('mute', false)
  t.strictSame(short(book.want('mute', 'v/1', 10_000)), ['mute fetches v/1 alone'])
  t.equal(book.holderOf('v/1'), undefined)
  book.want('a', 'v/2', 10_000)
  t.strictSame(short(book.want('mute', 'v/2', 10_000)), ['mute waits for a'])
  t.strictSame(book.want('mute', 'v/3', 10_000), [], 'somebody else may want it')
  t.strictSame(book.want('b', 'v/3', 10_000), [])
  t.strictSame(short(pass(limits.gatherMs)), ['b fetches v/3', 'mute waits for b'])
  t.strictSame(short(book.leave('a')), ['mute fetches v/2 alone'], 'nobody else is left')
  t.strictSame(short(book.leave('b')), ['mute fetches v/3 alone'])
  t.equal(book.size, 0)
})

test('bounds: leases, and parts that one waits for', async (t) => {
  const { book, limited } = bookOf('a', 'b')
  for (let part = 0; part < limits.leasesMax; part += 1) book.want('a', `v/${part}`, 10_000)
  t.strictSame(short(book.want('b', 'w/1', 1_000)), ['b fetches w/1 alone'])
  t.strictSame(limited, ['leases'])
  for (let part = 0; part < limits.waitsPerPageMax; part += 1) {
    t.equal(book.want('b', `v/${part}`, 10_000).length, 1)
  }
  t.strictSame(book.want('b', `v/${limits.waitsPerPageMax}`, 10_000), [])
  t.strictSame(limited, ['leases', 'waits'])
  t.equal(book.want('b', 'v/0', 9_000).length, 1, 'who waits may ask again')
})

test('never two holders, and nobody waits for nothing', async () => {
  const pages = ['a', 'b', 'c', 'd', 'e']
  const step = fc.record({
    what: fc.constantFrom(
      'want',
      'want',
      'want',
      'got',
      'failed',
      'leave',
      'enter',
      'mute',
      'time',
    ),
    page: fc.constantFrom(...pages),
    key: fc.constantFrom('v/1', 'v/2', 'v/3'),
    ms: fc.oneof(fc.nat(3_000), fc.nat(20_000)),
  })
  const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const { book, pass } = bookOf(...pages)
    const here = new Set(pages)
    const holders = new Map<string, string>()
    /** Who was not answered yet, by page and key. */
    const open = new Set<string>()
    const take = (notices: readonly LeaseNotice[]): void => {
      for (const notice of notices) {
        open.delete(`${notice.to} ${notice.key}`)
        if (!here.has(notice.to)) throw new Error(`${notice.to} is not here`)
        if (notice.forMs < 1 || notice.forMs > limits.leaseMsMax) throw new Error('a wrong time')
        if (notice.kind === 'grant' && !notice.isAlone) holders.set(notice.key, notice.to)
        if (notice.kind !== 'from') continue
        if (holders.get(notice.key) !== notice.holder) throw new Error('waits for who has none')
        if (notice.holder === notice.to) throw new Error('waits for itself')
      }
      for (const [key, holder] of holders) {
        const now = book.holderOf(key)
        if (now !== undefined && now !== holder) throw new Error(`${now} holds it, not ${holder}`)
      }
    }
    for (const { what, page, key, ms } of steps) {
      if (what === 'want') {
        if (here.has(page)) open.add(`${page} ${key}`)
        take(book.want(page, key, ms))
        const holder = book.holderOf(key)
        const isAnswered = !open.has(`${page} ${key}`)
        if (here.has(page) && holder !== undefined && !isAnswered) throw new Error('no answer')
      } else if (what === 'got' && book.holderOf(key) === page) {
        for (const [waiting] of book.settle(key)) open.delete(`${waiting} ${key}`)
      } else if (what === 'failed') {
        open.delete(`${page} ${key}`)
        take(book.failed(page, key))
      } else if (what === 'leave') {
        here.delete(page)
        for (const one of [...open]) if (one.startsWith(`${page} `)) open.delete(one)
        take(book.leave(page))
      } else if (what === 'enter' || what === 'mute') {
        here.add(page)
        book.enter(page, what === 'enter')
      } else take(pass(ms))
    }
    take(pass(limits.gatherMs))
    // A deadline that passes while it is waited is not answered any more: its page has helped itself.
    const late = steps.filter(({ what, ms }) => what === 'want' && ms < limits.gatherMs)
    if (late.length === 0 && open.size > 0) throw new Error(`${[...open]} wait for nothing`)
    for (const page of pages) book.leave(page)
    return book.size === 0 && book.wakeAtMs === undefined
  })
  fc.assert(property, { numRuns: fuzzRuns(400) })
})
