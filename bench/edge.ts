/**
 * The `edge` bench: Kairo as a shared cache beside nginx proxy_cache and Varnish, before the same origin and on the same core: cached objects of
 * 2 KB and 1 MB, the hit ratio of a Zipf trace with a cache of a tenth of the catalogue, memory for idle connections, and one gigabyte.
 */
import { type BenchResult, formatTable } from './result.ts'
import { type EdgeSample, hasWrk, measure, runTask } from './support/edge-load.ts'
import {
  type EdgeServer,
  startKairo,
  startNginx,
  startOrigin,
  startVarnish,
} from './support/edge-servers.ts'
import { rssBytes } from './support/serve-server.ts'
import { median, round } from './support/statistics.ts'

const MiB = 1024 * 1024
const repetitions = Number(process.env.KAIRO_BENCH_REPETITIONS ?? 5)
const seconds = Number(process.env.KAIRO_BENCH_SECONDS ?? 3)
/** 20,000 objects of 15 KiB; a file of nginx's cache is 16 KiB with its head, and that is what its bound counts. */
const trace = {
  objects: 20_000,
  alpha: 0.9,
  seed: 1,
  requests: Number(process.env.KAIRO_BENCH_REQUESTS ?? 1_000_000),
}
const cachedObjects = trace.objects / 10
const idleConnections = 10_000
const activeConnections = 1_000

const kinds = [
  { label: '2k', path: '/2k', connections: 64 },
  { label: '1m', path: '/1m', connections: 16 },
] as const

/** Runs the bench; its figures are named in bench/README.md. */
export async function run(): Promise<BenchResult> {
  if (!hasWrk) throw new Error('the edge bench needs wrk')
  const origin = await startOrigin()
  try {
    const { samples, servers } = await compare(origin)
    const hits = await hitRatios(origin)
    const memory = await kairoMemory(origin)
    return result(servers, samples, hits, memory)
  } finally {
    await origin.stop()
  }
}

type Samples = Map<string, EdgeSample[]>

async function compare(origin: EdgeServer): Promise<{ samples: Samples; servers: EdgeServer[] }> {
  const size = { memoryBytes: 256 * MiB, diskBytes: 0 }
  const started = [
    await startKairo(origin, size),
    await startNginx(origin, size),
    await startVarnish(origin, size),
  ]
  const servers = started.filter((server) => server !== undefined)
  const samples: Samples = new Map()
  try {
    // The first round only fills and warms up.
    for (let repetition = 0; repetition <= repetitions; repetition += 1) {
      for (const { label, path, connections } of kinds) {
        for (const server of servers) {
          const sample = await measure(server, path, { connections, seconds })
          const key = `${server.name} ${label}`
          if (repetition > 0) samples.set(key, [...(samples.get(key) ?? []), sample])
        }
      }
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
  return { samples, servers }
}

/** The share of the trace's requests that did not come to the origin. */
async function hitRatios(origin: EdgeServer): Promise<Map<string, number>> {
  const kairoSize = { memoryBytes: cachedObjects * 15 * 1024, diskBytes: 0 }
  const nginxSize = { memoryBytes: cachedObjects * 16 * 1024, diskBytes: 0 }
  const servers = [await startKairo(origin, kairoSize), await startNginx(origin, nginxSize)]
  const ratios = new Map<string, number>()
  for (const server of servers) {
    if (server === undefined) continue
    try {
      await countAsked(origin)
      await runTask({ task: 'trace', port: server.port, ...trace })
      ratios.set(server.name, 1 - (await countAsked(origin)) / trace.requests)
    } finally {
      await server.stop()
    }
  }
  return ratios
}

async function countAsked(origin: EdgeServer): Promise<number> {
  return Number(await (await fetch(`http://127.0.0.1:${origin.port}/count`)).text())
}

interface Memory {
  readonly idleConnectionBytes: number
  readonly heldRps: number
  readonly gigabyteRssGrowthMB: number
  readonly gigabyteMBps: number
}

async function kairoMemory(origin: EdgeServer): Promise<Memory> {
  const kairo = await startKairo(origin, { memoryBytes: 64 * MiB, diskBytes: 2_048 * MiB })
  try {
    await measure(kairo, '/2k', { connections: 64, seconds })
    const before = await rssBytes(kairo.pid)
    const sampled = sampleRss(kairo.pid)
    const held = await runTask({
      ...{ task: 'hold', port: kairo.port, idle: idleConnections },
      ...{ active: 0, seconds: 5 },
    })
    const idlePeak = await sampled()
    const active = await runTask({
      ...{ task: 'hold', port: kairo.port, idle: idleConnections },
      ...{ active: activeConnections, seconds: 10 },
    })
    // Fills what the bounds of RAM allow, so that what follows shows growth beyond them.
    await runTask({ task: 'read', port: kairo.port, path: '/1g' })
    const full = await rssBytes(kairo.pid)
    const watched = sampleRss(kairo.pid)
    const read = await runTask({ task: 'read', port: kairo.port, path: '/1g' })
    const peak = await watched()
    if (held.rps === undefined || read.bytes !== 1_024 * MiB) throw new Error('not all was read')
    return {
      idleConnectionBytes: Math.max(0, idlePeak - before) / idleConnections,
      heldRps: active.rps ?? 0,
      gigabyteRssGrowthMB: (peak - full) / 1e6,
      gigabyteMBps: 1_073.7 / (read.seconds ?? 1),
    }
  } finally {
    await kairo.stop()
  }
}

/** Watches a process's memory; what it returns ends that and gives the most that was seen. */
function sampleRss(pid: number): () => Promise<number> {
  let most = 0
  const look = async (): Promise<void> => {
    most = Math.max(most, await rssBytes(pid))
  }
  const timer = setInterval(() => void look(), 100)
  return async () => {
    clearInterval(timer)
    await look()
    return most
  }
}

function result(
  servers: readonly EdgeServer[],
  samples: Samples,
  hits: ReadonlyMap<string, number>,
  memory: Memory,
): BenchResult {
  const middle = (key: string, of: keyof EdgeSample) =>
    median((samples.get(key) ?? []).map((sample) => sample[of]))
  const ratios: Record<string, number> = {}
  const values: Record<string, number> = {}
  const table = [['object', 'server', 'requests/s', 'p99 ms']]
  for (const { label } of kinds) {
    for (const { name } of servers) {
      const key = `${name} ${label}`
      const [rps, p99Ms] = [middle(key, 'rps'), middle(key, 'p99Ms')]
      const short = { kairo: 'Kairo', nginx: 'Nginx', varnish: 'Varnish' }[name] ?? name
      values[`rps${short}${label}`] = Math.round(rps)
      values[`p99Ms${short}${label}`] = round(p99Ms, 2)
      if (name !== 'kairo') {
        ratios[`rpsVs${short}${label}`] = round(middle(`kairo ${label}`, 'rps') / rps, 2)
        ratios[`p99Vs${short}${label}`] = round(middle(`kairo ${label}`, 'p99Ms') / p99Ms, 2)
      }
      table.push([label, name, String(Math.round(rps)), String(round(p99Ms, 2))])
    }
  }
  for (const [name, ratio] of hits) {
    values[`hitRatio${name === 'kairo' ? 'Kairo' : 'Nginx'}`] = round(ratio, 4)
    table.push(['Zipf trace', name, `${round(ratio * 100, 2)} % hits`, ''])
  }
  const nginxHits = hits.get('nginx')
  if (nginxHits !== undefined) {
    ratios.hitRatioVsNginx = round((hits.get('kairo') ?? 0) / nginxHits, 3)
  }
  for (const [name, value] of Object.entries(memory)) values[name] = round(value)
  table.push(['10,000 idle', 'kairo', `${values.idleConnectionBytes} bytes each`, ''])
  table.push(['1 GB', 'kairo', `${values.gigabyteMBps} MB/s`, ''])
  const missing = ['nginx', 'varnish'].filter((name) => !servers.some((one) => one.name === name))
  return {
    ok: isGoodEnough(ratios, missing),
    ratios,
    values,
    peers: Object.fromEntries(servers.slice(1).map(({ name, version }) => [name, version])),
    ...(missing.length > 0 && { missing }),
    table: formatTable(table),
  }
}

/** The targets; without nginx there is nothing to hold them against. */
function isGoodEnough(
  ratios: Readonly<Record<string, number>>,
  missing: readonly string[],
): boolean {
  if (missing.includes('nginx')) return true
  return (
    (ratios.rpsVsNginx2k ?? 0) >= 0.9 &&
    (ratios.rpsVsNginx1m ?? 0) >= 0.7 &&
    (ratios.p99VsNginx2k ?? Number.POSITIVE_INFINITY) <= 2 &&
    (ratios.hitRatioVsNginx ?? 0) >= 1.05
  )
}
