/** Files of a log from anywhere: reading them gives groups or an error of the log, ends, and holds little memory. */
import fc from 'fast-check'
import { test } from 'tap'
import { crc32c } from '../../src/wal/crc32c.ts'
import { GroupRecord } from '../../src/wal/group-record.ts'
import { bytesOf, recordSize, scanRecords } from '../../src/wal/record.ts'
import { type Recovery, recoverLog } from '../../src/wal/recovery.ts'
import { readHeader, segmentName, segmentSeed } from '../../src/wal/segment.ts'
import { WalError } from '../../src/wal/wal-error.ts'
import { LogModel } from '../support/log-model.ts'
import { changeLog, drawChange, drawFrom, openLog, testOwner } from '../support/log-stage.ts'
import { SimulatedFolder } from '../support/simulated-folder.ts'

async function readOrRefuse(files: ReadonlyMap<string, Uint8Array>): Promise<Recovery | undefined> {
  const folder = new SimulatedFolder(() => 0)
  for (const [name, bytes] of files) folder.put(name, bytes)
  try {
    return await recoverLog(folder, testOwner)
  } catch (error) {
    if (error instanceof WalError) return undefined
    throw error
  }
}

/** The files of a real log. */
async function realFiles(seed: number): Promise<Map<string, Uint8Array>> {
  const draw = drawFrom(seed)
  const folder = new SimulatedFolder(draw)
  const model = new LogModel()
  const { log } = await openLog(folder)
  for (let step = 0; step < 30; step++) {
    const change = drawChange(model.state, draw)
    changeLog(log, change)
    model.apply(change)
    if (draw(3) === 0) await log.sync()
  }
  await log.close()
  return new Map(folder.names().map((name) => [name, folder.bytesOf(name) as Uint8Array]))
}

test('any bytes as segments', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.uint8Array({ maxLength: 400 }))),
      async (files) => {
        await readOrRefuse(
          new Map(files.map(([sequence, bytes]) => [segmentName(sequence), bytes])),
        )
      },
    ),
    { numRuns: 500 },
  )
})

test('real segments, changed at random', async (t) => {
  let read = 0
  await fc.assert(
    fc.asyncProperty(
      fc.nat(50),
      fc.array(fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(40)), {
        maxLength: 6,
      }),
      async (seed, changes) => {
        const files = await realFiles(seed)
        const names = [...files.keys()]
        for (const [file, place, value, length] of changes) {
          const bytes = (files.get(names[file % names.length] as string) as Uint8Array).slice()
          const from = place % Math.min(bytes.length, 6000)
          bytes.fill(value, from, from + length)
          files.set(names[file % names.length] as string, bytes)
        }
        if ((await readOrRefuse(files)) !== undefined) read += 1
      },
    ),
    { numRuns: 150 },
  )
  t.ok(read > 0)
})

test('payloads that pass their checksum and make no sense', async (t) => {
  const files = await realFiles(7)
  const name = segmentName(1)
  const valid = files.get(name) as Uint8Array
  const header = readHeader(bytesOf(valid), 1)
  if (header === undefined) throw new Error('the log has a header')
  const seed = segmentSeed(header.logId, 1)
  let refused = 0
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
        minLength: 1,
        maxLength: 4,
      }),
      async (pick, changes) => {
        const target = bytesOf(valid.slice())
        const records: number[] = []
        scanRecords(target, header.size, seed, ({ at }) => records.push(at))
        const at = records[pick % records.length] as number
        const size = recordSize(target.view.getUint32(at + 4, true))
        for (const [place, value] of changes) target.bytes[at + 8 + (place % (size - 8))] = value
        // As if it had been written so: the checksum is right.
        target.view.setUint32(at, crc32c(target, at + 4, at + size, (seed ^ at) >>> 0), true)
        if ((await readOrRefuse(new Map([...files, [name, target.bytes]]))) === undefined)
          refused += 1
      },
    ),
    { numRuns: 600 },
  )
  t.ok(refused > 100, `${refused} refused`)
})

test('a payload of any bytes', async () => {
  const record = new GroupRecord()
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 0, max: 255 }),
      (raw, flags) => {
        const bytes = bytesOf(raw)
        const kind = { flags, group: 1, from: 0, to: raw.length }
        let entries = 0
        const copy = (from: number, to: number) => raw.slice(from, to)
        if (record.read(bytes, kind)) record.readEntries(bytes, 0, copy, () => (entries += 1))
        return entries <= raw.length / 12
      },
    ),
    { numRuns: 3000 },
  )
})
