/**
 * The `mesh-fetch` bench: objects from the RAM of one peer, the whole program, to the rooms of another peer that fetch, verified, beside bare
 * node:https with a keep-alive agent that reads bodies of the same sizes whole; each server in a process of its own, both clients here, in turns. And what
 * an origin sees of a thousand misses at once at five peers.
 */
import { once } from 'node:events'
import { Agent, get } from 'node:https'
import { systemClock } from '../node/src/clock.ts'
import { Fetcher } from '../node/src/content/fetch/fetch-client.ts'
import { loadIdentity } from '../node/src/host/identity.ts'
import { Libp2pHost } from '../node/src/host/libp2p-host.ts'
import { PeerHttps } from '../node/src/host/peer-https/peer-https.ts'
import { silentLogger } from '../node/src/logger.ts'
import { createRegistry } from '../node/src/metrics/registry.ts'
import { type BenchOptions, type BenchResult, formatTable, progress } from './result.ts'
import { kairoVersion } from './support/kairo-process.ts'
import { type MeshSize, meshCopies, meshSizes } from './support/mesh-objects.ts'
import { missAtOnce, type OriginMisses } from './support/mesh-origin.ts'
import { startMeshServer } from './support/mesh-server.ts'
import { cpuUs } from './support/process-tree.ts'
import { startNodeServer } from './support/served-process.ts'
import { median, round } from './support/statistics.ts'
import { tempFolder } from './support/temp-folder.ts'

/** Ends a bench that hangs; it takes about a minute on two cores. */
export const deadlineMs = 5 * 60_000

const repetitions = 5
const bytesPerRun = 128 * 1024 * 1024
const bytesPerRunQuick = 16 * 1024 * 1024
const targetRatio = 0.8

interface Side {
  readonly name: 'kairo' | 'node:https'
  /** Fetches an object by its name; its length. */
  readonly fetch: (name: string) => Promise<number>
  readonly serverPid: number
  stop(): Promise<void>
}

interface Sample {
  readonly mbps: number
  /** CPU of client and server a megabyte. */
  readonly cpuUsPerMB: number
}

/** Runs the bench; its figures are named in bench/README.md. */
export async function run({ isQuick }: BenchOptions): Promise<BenchResult> {
  const sides: Side[] = []
  let samples: Samples
  try {
    sides.push(await startKairo())
    sides.push(await startNodeHttps())
    samples = await measure(sides, isQuick ? bytesPerRunQuick : bytesPerRun)
  } finally {
    await Promise.all(sides.map((side) => side.stop()))
  }
  progress('a thousand misses at five peers')
  return result(samples, await missAtOnce())
}

type Samples = ReadonlyMap<string, readonly Sample[]>

async function measure(sides: readonly Side[], wantedBytes: number): Promise<Samples> {
  const samples = new Map<string, Sample[]>()
  for (let repetition = 0; repetition <= repetitions; repetition += 1) {
    progress(repetition === 0 ? 'warming up' : `round ${repetition} of ${repetitions}`)
    for (const size of Object.keys(meshSizes) as MeshSize[]) {
      for (const side of sides) {
        const sample = await measureOnce(side, size, wantedBytes)
        // The first round only warms up.
        const key = `${side.name} ${size}`
        if (repetition > 0) samples.set(key, [...(samples.get(key) ?? []), sample])
      }
    }
  }
  return samples
}

async function measureOnce(side: Side, size: MeshSize, wantedBytes: number): Promise<Sample> {
  let left = Math.ceil(wantedBytes / meshSizes[size])
  let bytes = 0
  const serverBefore = cpuUs(side.serverPid)
  const clientBefore = process.cpuUsage()
  const startMs = performance.now()
  const worker = async (copy: number): Promise<void> => {
    while (left > 0) {
      left -= 1
      const got = await side.fetch(`${size}-${copy}`)
      if (got !== meshSizes[size]) throw new Error(`${side.name} gave ${got} bytes of ${size}`)
      bytes += got
    }
  }
  await Promise.all(Array.from({ length: meshCopies }, (_, copy) => worker(copy)))
  const seconds = (performance.now() - startMs) / 1_000
  const client = process.cpuUsage(clientBefore)
  const server = cpuUs(side.serverPid) - serverBefore
  const megabytes = bytes / 1e6
  return {
    mbps: megabytes / seconds,
    cpuUsPerMB: (client.user + client.system + server) / megabytes,
  }
}

async function startKairo(): Promise<Side> {
  const server = await startMeshServer()
  const { peerId, address, digests } = server
  const registry = createRegistry()
  const base = { clock: systemClock, logger: silentLogger, registry }
  const home = tempFolder('mesh')
  const { privateKey } = await loadIdentity(home.path, silentLogger)
  home.remove()
  const host = new Libp2pHost(base, { privateKey, listen: [], mdns: false })
  // The digest of its certificate is in the peer's adverts, which this client does not hear; that the certificate is the peer's is checked.
  const endpoint = { addresses: [address], certificateDigest: '' }
  const http = new PeerHttps(
    { ...base, transport: host, endpointsOf: () => endpoint },
    { privateKey },
  )
  await host.start()
  await http.start()
  // What is fetched is thrown away, as the other side does; each fetch crosses the wire.
  const fetcher = new Fetcher({ ...base, http, store: { put: () => {} } })
  return {
    name: 'kairo',
    fetch: async (name) => {
      const digest = digests.get(name) ?? ''
      return (await fetcher.fetch(digest, [peerId])).byteLength
    },
    serverPid: server.pid,
    stop: async () => {
      await http.stop()
      await host.stop()
      await server.stop()
    },
  }
}

async function startNodeHttps(): Promise<Side> {
  const server = await startNodeServer('node:https', './mesh-node-https.ts')
  const agent = new Agent({ keepAlive: true, maxSockets: meshCopies, rejectUnauthorized: false })
  return {
    name: 'node:https',
    fetch: async (name) => {
      const [answer] = await once(
        get({ agent, port: server.port, host: '127.0.0.1', path: `/${name}` }),
        'response',
      )
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      await once(answer, 'end')
      return Buffer.concat(chunks).byteLength
    },
    serverPid: server.pid,
    stop: async () => {
      agent.destroy()
      await server.stop()
    },
  }
}

function result(samples: Samples, { originRequests, waited }: OriginMisses): BenchResult {
  const of = (name: Side['name'], size: MeshSize, key: keyof Sample): number =>
    median((samples.get(`${name} ${size}`) ?? []).map((sample) => sample[key]))
  const ratios: Record<string, number> = {}
  const values: Record<string, number> = { originRequests, originWaited: waited }
  const table = [['object', 'from', 'MB/s', 'CPU us a MB']]
  for (const size of Object.keys(meshSizes) as MeshSize[]) {
    for (const name of ['kairo', 'node:https'] as const) {
      const mbps = of(name, size, 'mbps')
      const cpu = of(name, size, 'cpuUsPerMB')
      values[`${name === 'kairo' ? 'mbps' : 'mbpsNodeHttps'}${size}`] = round(mbps)
      table.push([size, name, String(round(mbps)), String(Math.round(cpu))])
    }
    const ratio = (key: keyof Sample): number =>
      round(of('kairo', size, key) / of('node:https', size, key), 2)
    ratios[`mbpsVsNodeHttps${size}`] = ratio('mbps')
    ratios[`cpuVsNodeHttps${size}`] = ratio('cpuUsPerMB')
  }
  ratios.mbpsVsNodeHttps = ratios.mbpsVsNodeHttps1m ?? 0
  table.push(['misses', 'origin', `asked ${originRequests} x`, `${waited} clients waited`])
  return {
    ok: ratios.mbpsVsNodeHttps >= targetRatio && originRequests === 1,
    ratios,
    values,
    peers: { kairo: kairoVersion(), 'node:https': process.version },
    table: formatTable(table),
  }
}
