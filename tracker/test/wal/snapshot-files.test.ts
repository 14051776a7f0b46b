/** Snapshot files: whole or not there, through full disks, power cuts and damage. */
import fc from 'fast-check'
import { test } from 'tap'
import type { Snapshot } from '../../src/raft/types.ts'
import { openDiskFolder } from '../../src/wal/disk-folder.ts'
import { SnapshotFiles } from '../../src/wal/snapshot-files.ts'
import { WalError } from '../../src/wal/wal-error.ts'
import { drawFrom } from '../support/log-stage.ts'
import { PowerCut, SimulatedFolder, systemError } from '../support/simulated-folder.ts'

function snapshotOf(index: number, bytes: number, term = 1): Snapshot {
  return {
    ...{ index, term },
    confState: {
      ...{ voters: [1, 2, 2 ** 50], votersOutgoing: [1], learners: [9], learnersNext: [] },
      autoLeave: index % 2 === 0,
    },
    data: Uint8Array.from({ length: bytes }, (_, at) => at * index),
  }
}

/** Equal in value: a snapshot as text. */
const textOf = (snapshot: Snapshot) =>
  JSON.stringify({ ...snapshot, data: Buffer.from(snapshot.data).toString('base64') })

test('several groups, on a real disk', async (t) => {
  const folder = await openDiskFolder(`${t.testdir()}/made`)
  const files = new SnapshotFiles(folder)
  const large = snapshotOf(2 ** 45, 3_000_000, 2 ** 45)
  await Promise.all([
    files.save(1, snapshotOf(5, 100)),
    files.save(2 ** 32 - 1, large),
    files.save(3, snapshotOf(6, 0)),
  ])
  await files.save(1, snapshotOf(8, 200, 2))
  t.equal(textOf(await files.load(1, { index: 5, term: 1 })), textOf(snapshotOf(5, 100)))
  t.equal(textOf(await files.load(2 ** 32 - 1, large)), textOf(large))
  t.equal(textOf(await files.load(3, { index: 6, term: 1 })), textOf(snapshotOf(6, 0)))
  await files.removeBefore(1, 8)
  await t.rejects(files.load(1, { index: 5, term: 1 }), { code: 'ERR_WAL_CORRUPT' })
  t.equal(textOf(await files.load(1, { index: 8, term: 2 })), textOf(snapshotOf(8, 200, 2)))
  await files.retain(new Map([[3, { index: 6, term: 1 }]]))
  t.strictSame(await folder.list(), ['3-6-1.snapshot'])
})

test('files of others and halves', async (t) => {
  const folder = new SimulatedFolder(() => 0)
  folder.put('readme', new Uint8Array(3))
  folder.put('1-2-3.snapshot.tmp', new Uint8Array(3))
  const files = new SnapshotFiles(folder)
  await files.save(1, snapshotOf(4, 10))
  await files.removeBefore(1, 4)
  t.strictSame(folder.names(), ['1-2-3.snapshot.tmp', '1-4-1.snapshot', 'readme'])
  await files.retain(new Map([[1, { index: 4, term: 1 }]]))
  t.strictSame(folder.names(), ['1-4-1.snapshot', 'readme'])
})

test('what is too large is refused', async (t) => {
  const files = new SnapshotFiles(new SimulatedFolder(() => 0))
  const many = { ...snapshotOf(1, 0).confState, voters: Array.from({ length: 2000 }, () => 1) }
  await t.rejects(files.save(1, { ...snapshotOf(1, 0), confState: many }), {
    code: 'ERR_WAL_TOO_LARGE',
  })
  const data = { length: 2 ** 30 } as Uint8Array
  await t.rejects(files.save(1, { ...snapshotOf(1, 0), data }), { code: 'ERR_WAL_TOO_LARGE' })
})

test('a full or failing disk leaves what was there', async (t) => {
  for (const [call, code, expected] of [
    ['create', 'ENOSPC', 'ERR_WAL_FULL'],
    ['write', 'ENOSPC', 'ERR_WAL_FULL'],
    ['sync', 'EIO', 'ERR_WAL_FAILED'],
    ['rename', 'EIO', 'ERR_WAL_FAILED'],
  ] as const) {
    const folder = new SimulatedFolder(() => 0)
    const files = new SnapshotFiles(folder)
    await files.save(1, snapshotOf(4, 1000))
    folder.interfere = (each) => (each === call ? systemError(code) : undefined)
    await t.rejects(files.save(1, snapshotOf(5, 1000)), { code: expected, file: '1-5-1.snapshot' })
    folder.interfere = () => undefined
    t.strictSame(folder.names(), ['1-4-1.snapshot'])
    await files.save(1, snapshotOf(5, 1000))
    t.equal(textOf(await files.load(1, { index: 5, term: 1 })), textOf(snapshotOf(5, 1000)))
  }
})

test('after a power cut a saved snapshot is whole, and a half one is not taken for one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const draw = drawFrom(seed)
      let folder = new SimulatedFolder(draw)
      let saved = 0
      for (let life = 0; life < 4; life++) {
        const cutAt = 1 + draw(25)
        folder.interfere = (_, __, nth) => (nth === cutAt ? new PowerCut('now') : undefined)
        const files = new SnapshotFiles(folder)
        try {
          const marker = { index: saved, term: 1 }
          await files.retain(saved === 0 ? new Map() : new Map([[1, marker]]))
          for (let next = 0; next < 4; next++) {
            await files.save(1, snapshotOf(saved + 1, draw(3000)))
            saved += 1
            // As the log's marker would be: durable before the older ones go.
            await files.removeBefore(1, saved)
          }
        } catch (error) {
          const cause = error instanceof WalError ? error.cause : error
          if (!(cause instanceof PowerCut)) throw error
        }
        folder = folder.losePower({ flipBits: true })
        if (saved > 0) {
          const found = await new SnapshotFiles(folder).load(1, { index: saved, term: 1 })
          const expected = snapshotOf(saved, found.data.length)
          if (textOf(found) !== textOf(expected)) throw new Error('reads differently')
        }
      }
    }),
    { numRuns: 150 },
  )
})

test('damage anywhere is told', async (t) => {
  const folder = new SimulatedFolder(() => 0)
  const files = new SnapshotFiles(folder)
  await files.save(1, snapshotOf(4, 100))
  const name = '1-4-1.snapshot'
  const bytes = (folder.bytesOf(name) as Uint8Array).slice()
  const silent: string[] = []
  const load = () =>
    files.load(1, { index: 4, term: 1 }).then(
      () => 'read',
      (error: unknown) => {
        if (!(error instanceof WalError)) throw error
        return error.code
      },
    )
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice()
    damaged[at] = (damaged[at] as number) ^ (1 << (at % 8))
    folder.put(name, damaged)
    const flipped = await load()
    folder.put(name, bytes.slice(0, at))
    const cut = await load()
    if (flipped === 'read' || cut === 'read') silent.push(`${at}: ${flipped}, ${cut}`)
  }
  t.strictSame(silent, [])
  folder.put(name, bytes)
  t.equal(await load(), 'read')
  folder.put('1-5-1.snapshot', bytes)
  await t.rejects(files.load(1, { index: 5, term: 1 }), { message: /another snapshot/ })
})

test('any bytes as a snapshot', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (raw, headed) => {
      const folder = new SimulatedFolder(() => 0)
      if (headed) raw.set([0x4b, 0x53, 0x4e, 0x50, 1, 0, 0, 0].slice(0, raw.length))
      folder.put('1-4-1.snapshot', raw)
      try {
        await new SnapshotFiles(folder).load(1, { index: 4, term: 1 })
        return false
      } catch (error) {
        return error instanceof WalError
      }
    }),
    { numRuns: 1000 },
  )
})
