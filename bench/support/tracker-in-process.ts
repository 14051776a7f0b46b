/**
 * The soft state of one shard without sockets, in a process of its own: batches of 100,000 peers, made beforehand, round after round as the seconds of
 * a live stream go on. Prints a line of JSON.
 */

import { ByteWriter } from '../../tracker/src/bytes/byte-writer.ts'
import { systemClock } from '../../tracker/src/clock.ts'
import { writeBatchHead, writeRecord } from '../../tracker/src/soft/batch.ts'
import { SoftShard } from '../../tracker/src/soft/soft-shard.ts'
import { median } from './statistics.ts'

const isQuick = process.argv.includes('--quick')
const peers = isQuick ? 10_000 : 100_000
const rounds = isQuick ? 3 : 7
const streams = peers / 100
const renditions = ['1080p', '720p', 'audio']
const partsPerSegment = 10
/** Ten segments of 2 s, as a viewer of a live stream keeps them. */
const windowSegments = 10
/** Three renditions, viewers, load. */
const updatesPerBatch = renditions.length + 2

const gc = globalThis.gc as () => void

function memory(): number {
  gc()
  gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** The window at a second: five parts of 200 ms more than the second before. */
function windowAt(second: number): {
  firstSegment: number
  partsPerSegment: number
  bits: Uint8Array
} {
  const parts = second * 5
  const firstSegment = Math.floor(parts / partsPerSegment) - windowSegments + 1
  const bits = new Uint8Array(Math.ceil((parts - firstSegment * partsPerSegment + 1) / 8)).fill(
    0xff,
  )
  return { firstSegment, partsPerSegment, bits }
}

const writer = new ByteWriter(256)

function batchOf(peer: number, round: number): Uint8Array {
  const isAll = round === 0
  const load = {
    uploadFreeKbps: 1_000 + ((peer * 7 + round * 13) % 50_000),
    busyPermille: peer % 1_000,
    coordinate: undefined,
  }
  writer.length = 0
  writeBatchHead(writer, {
    session: peer,
    term: 1,
    sequence: round + 1,
    after: round,
    isAll,
    isGoodbye: false,
    load,
  })
  const stream = `k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4c${String(peer % streams).padStart(10, '0')}`
  const named = (rendition: string): { stream: string; rendition: string } | undefined =>
    isAll ? { stream, rendition } : undefined
  const watching = { viewers: 1 + ((peer + round) % 20), window: undefined, ranges: [] }
  writeRecord(writer, { id: 0, name: named(''), holding: watching, wants: 0 })
  const window = windowAt(1_000 + round)
  const ranges = [{ first: window.firstSegment - 20, count: 20 }]
  renditions.forEach((rendition, at) => {
    writeRecord(writer, {
      id: at + 1,
      name: named(rendition),
      holding: { viewers: 0, window, ranges },
      wants: 0,
    })
  })
  return writer.take()
}

const ids = Array.from({ length: peers }, (_, peer) => `12D3KooW${String(peer).padStart(44, 'A')}`)
const shard = new SoftShard(
  { clock: systemClock, random: Math.random },
  { limits: { batchesPerTickMax: 1_000_000, ttlMs: 600_000 } },
)
shard.lead(1)
const before = memory()
for (let peer = 0; peer < peers; peer++) shard.answer(ids[peer] as string, batchOf(peer, 0))
const bytesPerPeer = (memory() - before) / peers
const rates: number[] = []
for (let round = 1; round <= rounds; round++) {
  const batches = ids.map((_, peer) => batchOf(peer, round))
  const startMs = performance.now()
  for (let peer = 0; peer < peers; peer++)
    shard.answer(ids[peer] as string, batches[peer] as Uint8Array)
  const seconds = (performance.now() - startMs) / 1_000
  rates.push((peers * updatesPerBatch) / seconds)
}
if (shard.counters.sendAlls > 0 || shard.counters.refused > 0)
  throw new Error('batches were refused')
const { bytes = 0 } = shard.size ?? {}
console.log(
  JSON.stringify({ updatesPerS: median(rates), bytesPerPeer, tableBytesPerPeer: bytes / peers }),
)
process.exit(0)
