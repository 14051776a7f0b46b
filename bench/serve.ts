/**
 * The `serve` bench: a 2 KB playlist and a 1 MB part from RAM over 64 keep-alive connections, from Kairo's HTTP server,
 * from bare node:http and from nginx, each in its own process, in turns.
 */
import { type BenchResult, formatTable } from './result.ts'
import { load, loadGenerator } from './support/http-load.ts'
import { cpuUs, rssBytes } from './support/process-tree.ts'
import { servePaths } from './support/serve-bodies.ts'
import { startServingNginx } from './support/serve-server.ts'
import { type ServedProcess, startNodeServer } from './support/served-process.ts'
import { median, round } from './support/statistics.ts'

const connections = 64
const repetitions = 9
const secondsPerRun = 2
const memorySeconds = 60
const memoryWarmSeconds = 10

interface Sample {
  readonly rps: number
  /** CPU of the server a request. */
  readonly cpuUs: number
}

type Kind = keyof typeof servePaths
const kinds: readonly { readonly kind: Kind; readonly label: string }[] = [
  { kind: 'playlist', label: '2k' },
  { kind: 'part', label: '1m' },
]

/** Runs the bench; its figures are named in bench/README.md. */
export async function run(): Promise<BenchResult> {
  const kairo = await startNodeServer('kairo', './serve-kairo.ts')
  const bare = await startNodeServer('node:http', './serve-node-http.ts')
  const nginx = await startServingNginx()
  const servers = [kairo, bare, ...(nginx === undefined ? [] : [nginx])]
  try {
    const samples = await measure(servers)
    const rssGrowthMB = await memoryGrowth(kairo)
    return result(servers, samples, rssGrowthMB)
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
}

async function measure(servers: readonly ServedProcess[]): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>()
  for (let repetition = 0; repetition <= repetitions; repetition += 1) {
    for (const { kind, label } of kinds) {
      for (const server of servers) {
        const sample = await measureOnce(server, kind)
        // The first round only warms up.
        if (repetition > 0) {
          const key = `${server.name} ${label}`
          samples.set(key, [...(samples.get(key) ?? []), sample])
        }
      }
    }
  }
  return samples
}

async function measureOnce(server: ServedProcess, kind: Kind): Promise<Sample> {
  const before = cpuUs(server.pid)
  const done = await load({
    port: server.port,
    path: servePaths[kind],
    connections,
    seconds: secondsPerRun,
  })
  const after = cpuUs(server.pid)
  return { rps: done.requestsPerSecond, cpuUs: (after - before) / done.requests }
}

/** Megabytes by which the server's memory has grown at the end of a long run, after a warm-up. */
async function memoryGrowth(server: ServedProcess): Promise<number> {
  const run = async (seconds: number) => {
    for (const { kind } of kinds) {
      await load({
        port: server.port,
        path: servePaths[kind],
        connections,
        seconds: seconds / kinds.length,
      })
    }
  }
  await run(memoryWarmSeconds)
  const before = rssBytes(server.pid)
  await run(memorySeconds)
  return rssBytes(server.pid) / 1e6 - before / 1e6
}

function result(
  servers: readonly ServedProcess[],
  samples: ReadonlyMap<string, readonly Sample[]>,
  rssGrowthMB: number,
): BenchResult {
  const rps = (key: string) => median((samples.get(key) ?? []).map((sample) => sample.rps))
  const cpu = (key: string) => median((samples.get(key) ?? []).map((sample) => sample.cpuUs))
  const ratios: Record<string, number> = {}
  const values: Record<string, number> = { rssGrowthMB: round(rssGrowthMB) }
  const table = [['object', 'server', 'requests/s', 'CPU us a request']]
  for (const { label } of kinds) {
    for (const server of servers) {
      const key = `${server.name} ${label}`
      const short = { kairo: 'Kairo', 'node:http': 'NodeHttp', nginx: 'Nginx' }[server.name] ?? ''
      values[`rps${short}${label}`] = Math.round(rps(key))
      values[`cpuUs${short}${label}`] = round(cpu(key))
      if (server.name !== 'kairo') {
        ratios[`rpsVs${short}${label}`] = round(rps(`kairo ${label}`) / rps(key), 2)
        ratios[`cpuVs${short}${label}`] = round(cpu(`kairo ${label}`) / cpu(key), 2)
      }
      table.push([label, server.name, String(Math.round(rps(key))), String(round(cpu(key)))])
    }
  }
  const peers = Object.fromEntries(servers.slice(1).map((server) => [server.name, server.version]))
  const hasNginx = servers.some((server) => server.name === 'nginx')
  return {
    ok: (ratios.rpsVsNodeHttp2k ?? 0) >= 1.5 && (ratios.rpsVsNodeHttp1m ?? 0) >= 1,
    ratios,
    values,
    peers: { ...peers, load: loadGenerator },
    ...(hasNginx ? {} : { missing: ['nginx'] }),
    table: formatTable(table),
  }
}
