/**
 * Files that a crash tore or that were damaged later. A torn end is cut off; damage to anything that was durable is told,
 * with file and place, and is never a silent loss.
 */
import fc from 'fast-check'
import { test } from 'tap'
import { type RecoveredGroup, recoverLog } from '../../src/wal/recovery.ts'
import { WalError } from '../../src/wal/wal-error.ts'
import { LogModel, textOf } from '../support/log-model.ts'
import {
  changeLog,
  drawChange,
  drawFrom,
  entriesFrom,
  openLog,
  testOwner,
} from '../support/log-stage.ts'
import { SimulatedFolder } from '../support/simulated-folder.ts'

/** A copy of a folder's files, durable. */
function copyOf(folder: SimulatedFolder): SimulatedFolder {
  const copy = new SimulatedFolder(() => 0)
  for (const name of folder.names()) copy.put(name, folder.bytesOf(name) as Uint8Array)
  return copy
}

/** What the log in a folder holds, as text; or the error that it gave. */
async function readBack(
  folder: SimulatedFolder,
): Promise<string | { code: string; file?: string }> {
  let groups: Map<number, RecoveredGroup>
  try {
    groups = (await recoverLog(folder, testOwner)).groups
  } catch (error) {
    if (!(error instanceof WalError)) throw error
    return error as { code: string; file?: string }
  }
  return textOf(groups)
}

/** A log of several writes in one segment, with what it held after each, and where each ended. */
async function shortLog(): Promise<{
  folder: SimulatedFolder
  name: string
  states: string[]
  ends: number[]
}> {
  const folder = new SimulatedFolder(() => 0)
  const { log } = await openLog(folder)
  const model = new LogModel()
  const name = '000000000001.wal'
  // Records end at multiples of eight.
  const end = () => {
    const used = 1 + (folder.bytesOf(name) as Uint8Array).findLastIndex((byte) => byte !== 0)
    return Math.ceil(used / 8) * 8
  }
  const states = [textOf(model.state)]
  const ends = [end()]
  for (let write = 1; write <= 6; write++) {
    const append = {
      group: write % 2,
      hardState: { term: 1 + write, vote: 1, commit: 0 },
      entries: entriesFrom(1 + Math.floor((write - 1) / 2) * 3, 3, write, 30 * write),
    }
    log.append(append)
    model.apply({ kind: 'append', append })
    await log.sync()
    states.push(textOf(model.state))
    ends.push(end())
  }
  return { folder, name, states, ends }
}

test('a tail torn at every byte', async (t) => {
  const { folder, name, states, ends } = await shortLog()
  const bytes = folder.bytesOf(name) as Uint8Array
  const last = ends.at(-1) as number
  const wrong: string[] = []
  for (let cut = ends[0] as number; cut <= last; cut++) {
    // What a crash leaves behind the cut: nothing, zeros, or another file's bytes.
    const zeros = bytes.slice()
    zeros.fill(0, cut)
    const stale = bytes.slice()
    stale.fill(0xa5, cut)
    for (const [kind, torn] of Object.entries({ short: bytes.slice(0, cut), zeros, stale })) {
      const copy = new SimulatedFolder(() => 0)
      copy.put(name, torn)
      const found = await readBack(copy)
      const expected = states[ends.findLastIndex((end) => end <= cut)]
      // The last bytes of a write are zeros themselves.
      const next = states[1 + ends.findLastIndex((end) => end <= cut)]
      if (found !== expected && !(kind === 'zeros' && found === next))
        wrong.push(`${kind} at ${cut}: ${found}`)
    }
  }
  t.strictSame(wrong, [])
})

test('a header torn at every byte, when nothing was in the segment yet', async (t) => {
  const folder = new SimulatedFolder(() => 0)
  const { log } = await openLog(folder)
  log.append({ group: 1, entries: entriesFrom(1, 3) })
  await log.close()
  const before = textOf((await openLog(folder)).groups)
  const name = '000000000002.wal'
  const bytes = folder.bytesOf(name) as Uint8Array
  const wrong: number[] = []
  for (let cut = 0; cut < 160; cut++) {
    const copy = copyOf(folder)
    const torn = bytes.slice()
    torn.fill(0, cut)
    copy.put(name, torn)
    if ((await readBack(copy)) !== before) wrong.push(cut)
  }
  t.strictSame(wrong, [])
})

test('a log that was torn and cut goes on', async (t) => {
  const { folder, name, states, ends } = await shortLog()
  const torn = (folder.bytesOf(name) as Uint8Array).slice()
  torn.fill(0, (ends.at(-1) as number) - 5)
  folder.put(name, torn)
  const { log, groups, tornBytes } = await openLog(folder)
  t.equal(textOf(groups), states.at(-2))
  t.ok(tornBytes > 0)
  log.append({ group: 9, entries: entriesFrom(1, 2) })
  await log.close()
  const again = await openLog(folder)
  t.equal(again.groups.get(9)?.entries.length, 2)
  t.equal(again.tornBytes, 0)
})

test('any damage to a closed log is told or harmless', async (t) => {
  let told = 0
  let harmless = 0
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 0, max: 7 }),
      async (seed, place, bit) => {
        const draw = drawFrom(seed)
        const folder = new SimulatedFolder(draw)
        const model = new LogModel()
        const { log } = await openLog(folder)
        for (let step = 0; step < 40; step++) {
          const change = drawChange(model.state, draw)
          changeLog(log, change)
          model.apply(change)
          if (draw(2) === 0) await log.sync()
        }
        await log.close()
        for (let damage = 0; damage < 8; damage++) {
          const copy = copyOf(folder)
          const names = copy.names()
          const name = names[(place + damage) % names.length] as string
          const bytes = (copy.bytesOf(name) as Uint8Array).slice()
          // Mostly where something is written.
          const used = Math.max(1, bytes.findLastIndex((byte) => byte !== 0) + 1)
          const at = (place * 31 + damage * 977) % used
          bytes[at] = (bytes[at] as number) ^ (1 << bit)
          copy.put(name, bytes)
          const found = await readBack(copy)
          if (typeof found !== 'string') {
            told += 1
            t.match(found, { code: 'ERR_WAL_CORRUPT', file: name, message: name }, found.code)
          } else {
            harmless += 1
            t.equal(found, textOf(model.state))
          }
        }
      },
    ),
    { numRuns: 40 },
  )
  t.ok(told > 100, `${told} told, ${harmless} harmless`)
})

test('damage before the last write is told even when nobody closed the log', async (t) => {
  const { folder, name, ends, states } = await shortLog()
  const bytes = folder.bytesOf(name) as Uint8Array
  const silent: number[] = []
  const durable = ends.at(-2) as number
  for (let at = 0; at < durable; at++) {
    const copy = new SimulatedFolder(() => 0)
    const damaged = bytes.slice()
    damaged[at] = (damaged[at] as number) ^ 0x10
    copy.put(name, damaged)
    const found = await readBack(copy)
    if (typeof found === 'string' && found !== states.at(-1)) silent.push(at)
  }
  t.strictSame(silent, [])
})

test('a segment that is missing, short or from elsewhere', async (t) => {
  const folder = new SimulatedFolder(() => 0)
  const { log } = await openLog(folder)
  for (let next = 1; next <= 40; next++) {
    log.append({ group: 1, entries: entriesFrom(next, 1, 1, 6000) })
    await log.sync()
  }
  await log.close()
  const second = '000000000002.wal'
  const third = '000000000003.wal'
  const damaged = async (damage: (copy: SimulatedFolder) => Promise<void> | void) => {
    const copy = copyOf(folder)
    await damage(copy)
    return readBack(copy)
  }
  const bytes = folder.bytesOf(second) as Uint8Array
  t.match(await damaged((copy) => copy.remove(second)), {
    code: 'ERR_WAL_CORRUPT',
    file: third,
    message: /missing/,
  })
  t.match(
    await damaged((copy) => copy.remove('000000000001.wal')),
    { code: 'ERR_WAL_CORRUPT', file: second, message: /group 1: entries from 1 to 40 are needed/ },
    'the first is not known to be missing, but its entries are',
  )
  t.match(await damaged((copy) => copy.put(second, bytes.slice(0, 9000))), {
    code: 'ERR_WAL_CORRUPT',
    file: second,
  })
  t.match(await damaged((copy) => copy.put(third, bytes)), { code: 'ERR_WAL_CORRUPT', file: third })
  t.match(await damaged((copy) => copy.put(second, new Uint8Array(0))), {
    code: 'ERR_WAL_CORRUPT',
    file: second,
  })
  const other = new SimulatedFolder(() => 0)
  const { log: otherLog } = await openLog(other, { owner: new Uint8Array(3) })
  await otherLog.close()
  t.match(
    await damaged((copy) =>
      copy.put('000000000099.wal', other.bytesOf('000000000001.wal') as Uint8Array),
    ),
    { code: 'ERR_WAL_CORRUPT', message: /missing/ },
  )
})

test('a segment of old bytes is not read as a new one', async (t) => {
  // The same file again under the next name: headers, marks and records are all whole, in another place.
  const { folder, name, states } = await shortLog()
  folder.put('000000000002.wal', folder.bytesOf(name) as Uint8Array)
  t.equal(await readBack(folder), states.at(-1))
})
