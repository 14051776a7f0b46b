/**
 * The write-ahead log under random changes and random crashes, against a simple model: what was synced is there, what
 * was not is there whole or not at all, in order. A failing run prints the seed that repeats it.
 */
import fc from 'fast-check'
import { test } from 'tap'
import { isDiskFull } from '../../src/wal/wal-error.ts'
import type { WriteAheadLog } from '../../src/wal/write-ahead-log.ts'
import { LogModel, textOf } from '../support/log-model.ts'
import { changeLog, drawChange, drawFrom, entriesFrom, openLog } from '../support/log-stage.ts'
import { type Draw, PowerCut, SimulatedFolder, systemError } from '../support/simulated-folder.ts'

const RUNS = 60
const LIVES = 5

/** Changes and syncs until the number of them is reached or something is thrown. */
async function live(log: WriteAheadLog, model: LogModel, draw: Draw, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) {
    const change = drawChange(model.state, draw)
    changeLog(log, change)
    model.apply(change)
    if (draw(3) !== 0) continue
    const { pending } = model
    const sync = log.sync()
    // Sometimes more is appended while the disk works.
    if (draw(2) === 0) {
      await new Promise((resolve) => process.nextTick(resolve))
      const late = drawChange(model.state, draw)
      changeLog(log, late)
      model.apply(late)
    }
    await sync
    model.synced(pending)
  }
}

/** Lives until the power goes at some call, or the steps are done. */
async function liveAndDie(
  folder: SimulatedFolder,
  model: LogModel,
  draw: Draw,
  options: { flipBits?: boolean } = {},
): Promise<SimulatedFolder> {
  const cutAt = draw(120)
  folder.interfere = (_, __, nth) => (nth === cutAt ? new PowerCut('now') : undefined)
  try {
    const { log, groups } = await openLog(folder, { onWarning: () => {} })
    model.recovered(groups)
    await live(log, model, draw, draw(60))
    if (draw(3) === 0) {
      const { pending } = model
      await log.close()
      model.synced(pending)
    }
  } catch (error) {
    if (!isPowerCut(error)) throw error
  }
  return draw(4) === 0 ? folder.handOver() : folder.losePower(options)
}

function isPowerCut(error: unknown): boolean {
  if (error instanceof PowerCut) return true
  return error instanceof Error && error.cause !== undefined && isPowerCut(error.cause)
}

async function checkSeeds(run: (draw: Draw) => Promise<void>, numRuns = RUNS): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.nat(), (seed) => run(drawFrom(seed))),
    { numRuns },
  )
}

test('power cuts at any call, several lives long', async () => {
  await checkSeeds(async (draw) => {
    const model = new LogModel()
    let folder = new SimulatedFolder(draw)
    for (let lives = 0; lives < LIVES; lives++)
      folder = await liveAndDie(folder, model, draw, { flipBits: true })
    const { groups } = await openLog(folder)
    model.recovered(groups)
  })
})

test('a disk that is full for a while', async (t) => {
  let refused = 0
  await checkSeeds(async (draw) => {
    const model = new LogModel()
    const folder = new SimulatedFolder(draw)
    const { log } = await openLog(folder, { onWarning: () => {} })
    for (let spell = 0; spell < 4; spell++) {
      await live(log, model, draw, draw(40))
      const from = folder.calls + draw(20)
      folder.interfere = (call, _, nth) =>
        nth > from && (call === 'write' || call === 'create') ? systemError('ENOSPC') : undefined
      try {
        await live(log, model, draw, 40)
      } catch (error) {
        if (!isDiskFull((error as Error).cause)) throw error
        t.match(error, { code: 'ERR_WAL_FULL' })
        refused += 1
      }
      folder.interfere = () => undefined
      // Nothing was lost: the next sync brings all of it to the disk.
      const { pending } = model
      await log.sync()
      model.synced(pending)
    }
    const { groups } = await openLog(draw(2) === 0 ? folder.losePower() : folder.handOver())
    model.recovered(groups)
  })
  t.ok(refused > RUNS, `${refused} times refused`)
})

test('a full disk and then a power cut', async () => {
  await checkSeeds(async (draw) => {
    const model = new LogModel()
    let folder = new SimulatedFolder(draw)
    for (let lives = 0; lives < 3; lives++) {
      // What goes on in the background finds the power off.
      const { log, groups } = await openLog(folder, { onWarning: () => {} })
      model.recovered(groups)
      const from = folder.calls + draw(40)
      folder.interfere = (call, _, nth) =>
        nth > from && call === 'write' ? systemError('ENOSPC') : undefined
      await live(log, model, draw, 50).catch((error: { code?: string }) => {
        if (error.code !== 'ERR_WAL_FULL') throw error
      })
      folder = folder.losePower()
    }
    model.recovered((await openLog(folder)).groups)
  })
})

test('a sync that fails is the end of the log, and nothing acknowledged is lost', async (t) => {
  await checkSeeds(async (draw) => {
    const model = new LogModel()
    const folder = new SimulatedFolder(draw)
    const { log } = await openLog(folder, { onWarning: () => {} })
    const failAt = folder.calls + 1 + draw(60)
    // Even a disk that is full must not be asked to sync again.
    const code = draw(2) === 0 ? 'EIO' : 'ENOSPC'
    let syncsAfter = 0
    folder.interfere = (call, name, nth) => {
      if (call !== 'sync' || name.startsWith('spare') || nth < failAt) return undefined
      syncsAfter += 1
      return systemError(code)
    }
    const error = await live(log, model, draw, 400).then(
      () => undefined,
      (reason: Error) => reason,
    )
    t.match(error, { code: 'ERR_WAL_FAILED', cause: { name: 'SyncError', cause: { code } } })
    t.throws(() => log.append({ group: 1 }), { code: 'ERR_WAL_FAILED' })
    await t.rejects(log.sync(), { code: 'ERR_WAL_FAILED' })
    t.equal(syncsAfter, 1, 'never tried again')
    folder.interfere = () => undefined
    await log.close()
    const { groups } = await openLog(folder.losePower())
    model.recovered(groups)
  }, 60)
})

test('a write that fails for another reason is the end too', async (t) => {
  const folder = new SimulatedFolder(() => 0)
  const { log } = await openLog(folder)
  folder.interfere = (call, name) =>
    call === 'write' && name.endsWith('1.wal') ? systemError('EIO') : undefined
  log.append({ group: 1, hardState: { term: 1, vote: 1, commit: 0 } })
  await t.rejects(log.sync(), { code: 'ERR_WAL_FAILED' })
})

test('the order of reading does not matter to what is read', async () => {
  await checkSeeds(async (draw) => {
    const model = new LogModel()
    const folder = new SimulatedFolder(draw)
    const { log } = await openLog(folder)
    await live(log, model, draw, 80)
    const { pending } = model
    await log.close()
    model.synced(pending)
    // Opened again and again without a change it stays what it is, although each start begins a segment.
    let next = folder
    for (let starts = 0; starts < 3; starts++) {
      next = draw(2) === 0 ? next.losePower() : next.handOver()
      const { groups } = await openLog(next)
      if (textOf(groups) !== textOf(model.state)) model.recovered(groups)
    }
  }, 40)
})

test('an append of several records that a power cut halves is a log all the same', async (t) => {
  const lengths = new Set<number>()
  for (let cutAt = 14; cutAt < 40; cutAt++) {
    for (let seed = 0; seed < 4; seed++) {
      const folder = new SimulatedFolder(drawFrom(seed))
      const { log } = await openLog(folder, { onWarning: () => {} })
      folder.interfere = (_, __, nth) => (nth === cutAt ? new PowerCut('now') : undefined)
      const entries = entriesFrom(1, 40, 3, 4000)
      log.append({ group: 1, hardState: { term: 3, vote: 1, commit: 40 }, entries })
      await log.sync().catch((error: unknown) => {
        if (!isPowerCut(error)) throw error
      })
      const found = (await openLog(folder.losePower())).groups.get(1)
      const kept = found?.entries.length ?? 0
      lengths.add(kept)
      if (found === undefined) continue
      // What is there is a beginning, its term is known, and nothing is called committed that is missing.
      const hardState = { term: 3, vote: 1, commit: kept }
      const snapshot = { index: 0, term: 0 }
      const whole = { hardState: found.hardState, snapshot, entries: entries.slice(0, kept) }
      t.equal(textOf(new Map([[1, found]])), textOf(new Map([[1, whole]])))
      t.ok(found.hardState.commit <= hardState.commit && found.hardState.term === 3)
    }
  }
  t.ok(lengths.has(40) && lengths.size > 3, [...lengths].join(' '))
})
