/**
 * The `edge` bench: `kairo cdn`, the whole program, beside nginx proxy_cache and Varnish, before the same origin and on the same core: cached
 * objects of 2 KB and 1 MB, the hit ratio of a Zipf trace with a cache of a tenth of the catalogue, connections that are only held, and one gigabyte.
 */
import { type BenchOptions, type BenchResult, progress } from './result.ts'
import { measure, runTask, wrkVersion } from './support/edge-load.ts'
import {
  type EdgeHits,
  type EdgeMemory,
  type EdgeSamples,
  edgeKinds,
  edgeResult,
} from './support/edge-result.ts'
import {
  type EdgeCacheSize,
  type EdgeOrigin,
  startKairoCache,
  startNginxCache,
  startOrigin,
} from './support/edge-servers.ts'
import type { HeldResult } from './support/held-connections.ts'
import { readMetric } from './support/kairo-process.ts'
import { rssBytes } from './support/process-tree.ts'
import type { ServedProcess } from './support/served-process.ts'
import { traceBytes } from './support/trace-catalogue.ts'
import { startVarnish } from './support/varnish.ts'
import { watchMost } from './support/watch-most.ts'

/** Ends a bench that hangs. On two cores it takes some six minutes, most of them for what Kairo fetches in the trace. */
export const deadlineMs = 15 * 60_000

const MiB = 1024 * 1024
/** Share of the catalogue of the trace that a cache has room for. */
const CACHE_SHARE = 0.1
/** RAM for objects while a gigabyte is served. */
const GIGABYTE_MEMORY_BYTES = 64 * MiB
interface Work {
  readonly repetitions: number
  readonly seconds: number
  readonly traceRequests: number
  readonly idle: number
  readonly active: number
  readonly activeSeconds: number
}

const wholeWork: Work = {
  ...{ repetitions: 5, seconds: 3, traceRequests: 1_000_000 },
  ...{ idle: 10_000, active: 1_000, activeSeconds: 10 },
}
const quickWork: Work = {
  ...{ repetitions: 3, seconds: 1, traceRequests: 20_000 },
  ...{ idle: 2_000, active: 200, activeSeconds: 2 },
}

/** Runs the bench; its figures are named in bench/README.md. */
export async function run({ isQuick }: BenchOptions): Promise<BenchResult> {
  const work = isQuick ? quickWork : wholeWork
  const wrk = await wrkVersion()
  if (wrk === undefined) throw new Error('the edge bench needs wrk')
  const origin = await startOrigin()
  try {
    const compared = await compare(origin, work)
    const hits = await compareHits(work)
    const memory = await kairoMemory(origin, work)
    return edgeResult({ ...compared, hits, memory, wrk, idle: work.idle })
  } finally {
    await origin.stop()
  }
}

/** Loads the caches in turns. @throws Error when one of them does not serve what the origin has, or not from its cache. */
async function compare(
  origin: EdgeOrigin,
  { repetitions, seconds }: Work,
): Promise<{ samples: EdgeSamples; servers: ServedProcess[] }> {
  const size = { memoryBytes: 256 * MiB, diskBytes: 0 }
  const servers: ServedProcess[] = []
  const samples: EdgeSamples = new Map()
  try {
    for (const start of [
      () => startKairoCache(origin, size),
      () => startNginxCache(origin, size),
      () => startVarnish(origin.port, size.memoryBytes),
    ]) {
      const server = await start()
      if (server !== undefined) servers.push(server)
    }
    // The first round only fills the caches and warms up.
    for (let repetition = 0; repetition <= repetitions; repetition += 1) {
      progress(repetition === 0 ? 'warming up' : `speed, round ${repetition} of ${repetitions}`)
      for (const kind of edgeKinds) {
        for (const server of servers) {
          if (repetition === 0) await checkBody(server, kind.path, kind.bytes)
          const long = repetition === 0 ? Math.min(2, seconds) : seconds
          const sample = await measure(server, kind, long)
          const key = `${server.name} ${kind.label}`
          if (repetition > 0) samples.set(key, [...(samples.get(key) ?? []), sample])
        }
      }
      const asked = await origin.counts()
      if (repetition > 0 && Object.keys(asked).length > 0) {
        throw new Error(`the origin was asked for what is cached: ${JSON.stringify(asked)}`)
      }
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
  return { samples, servers }
}

async function checkBody({ name, port }: ServedProcess, path: string, bytes: number) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`)
  const { byteLength } = await answer.arrayBuffer()
  if (answer.status !== 200 || byteLength !== bytes) {
    throw new Error(`${name} answers ${path} with ${answer.status} and ${byteLength} bytes`)
  }
}

/**
 * The trace at Kairo and at nginx, each with room for a tenth of the catalogue as it counts it itself, each with an origin of its own. Both at the
 * same time and on any core: what is counted does not depend on who is faster.
 */
async function compareHits(work: Work): Promise<Map<string, EdgeHits>> {
  progress(`the trace, ${work.traceRequests} requests`)
  const { bodies, nginxFiles } = traceBytes()
  const kairoBytes = Math.round(bodies * CACHE_SHARE)
  const nginxBytes = Math.round(nginxFiles * CACHE_SHARE)
  const [kairo, nginx] = await Promise.all([
    traceAt(work, kairoBytes, async (origin, size) => {
      const cache = await startKairoCache(origin, size, { isPinned: false })
      const heldBytes = (): Promise<number> => readMetric(cache.ready, 'kairo_content_stored_bytes')
      return { ...cache, heldBytes }
    }),
    traceAt(work, nginxBytes, (origin, size) => startNginxCache(origin, size, { isStrict: true })),
  ])
  const hits = new Map<string, EdgeHits>()
  if (kairo !== undefined) hits.set('kairo', kairo)
  if (nginx !== undefined) hits.set('nginx', nginx)
  return hits
}

/** What comes of the trace at one cache; undefined for one that is not installed. */
async function traceAt(
  { traceRequests: requests }: Work,
  memoryBytes: number,
  start: (
    origin: EdgeOrigin,
    size: EdgeCacheSize,
  ) => Promise<(ServedProcess & { readonly heldBytes: () => Promise<number> }) | undefined>,
): Promise<EdgeHits | undefined> {
  const origin = await startOrigin()
  try {
    const server = await start(origin, { memoryBytes, diskBytes: 0 })
    if (server === undefined) return undefined
    try {
      await origin.counts()
      const most = watchMost(server.heldBytes, 1_000)
      const { port } = server
      const { seconds } = await runTask<{ seconds: number }>({ task: 'trace', port, requests })
      const fill = (await most()) / memoryBytes
      const asked = (await origin.counts())['/z'] ?? 0
      progress(`the trace at ${server.name} is done`)
      return { ratio: 1 - asked / requests, seconds, fill }
    } finally {
      await server.stop()
    }
  } finally {
    await origin.stop()
  }
}

async function kairoMemory(origin: EdgeOrigin, work: Work): Promise<EdgeMemory> {
  const { idle, active } = work
  const size = { memoryBytes: GIGABYTE_MEMORY_BYTES, diskBytes: 2_048 * MiB }
  const kairo = await startKairoCache(origin, size, { openFiles: idle + 2 * active + 1_000 })
  const { port, pid } = kairo
  const rss = async (): Promise<number> => rssBytes(pid)
  const read = async (): Promise<{ bytes: number; seconds: number }> => {
    const done = await runTask<{ bytes: number; seconds: number }>({
      ...{ task: 'read', port, path: '/1g' },
    })
    if (done.bytes !== 1_024 * MiB) throw new Error(`a gigabyte has ${done.bytes} bytes`)
    return done
  }
  try {
    progress('connections')
    const held = await runTask<HeldResult>({
      ...{ task: 'hold', port, pid, idle, active, seconds: work.activeSeconds },
    })
    progress('a gigabyte')
    const fill = watchMost(rss, 50)
    // Fills what the bounds of RAM allow, so that what follows shows growth beyond them.
    await read()
    const fillMax = await fill()
    const before = await rss()
    const most = watchMost(rss, 50)
    const { seconds } = await read()
    const max = await most()
    return {
      held,
      ...{ beforeMB: before / 1e6, maxMB: max / 1e6, afterMB: (await rss()) / 1e6 },
      ...{ fillMaxMB: fillMax / 1e6, mbps: (1_024 * MiB) / 1e6 / seconds },
    }
  } finally {
    await kairo.stop()
  }
}
