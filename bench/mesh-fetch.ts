/**
 * The `mesh-fetch` bench: objects from one peer's RAM to another peer, verified, beside bare node:https with a keep-alive agent that
 * reads bodies of the same sizes whole; each server in a process of its own, both clients here, in turns. And what an origin sees of a thousand
 * misses at once at five peers.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '../node/src/clock.ts'
import { Fetcher } from '../node/src/content/fetch/fetch-client.ts'
import { loadIdentity } from '../node/src/host/identity.ts'
import { Libp2pHost } from '../node/src/host/libp2p-host.ts'
import { PeerHttps } from '../node/src/host/peer-https/peer-https.ts'
import { silentLogger } from '../node/src/logger.ts'
import { createRegistry } from '../node/src/metrics/registry.ts'
import { type BenchResult, formatTable } from './result.ts'
import { type ChildProgram, startProgram } from './support/child-program.ts'
import { type MeshSize, meshCopies, meshSizes } from './support/mesh-objects.ts'
import { countOriginRequests } from './support/mesh-origin.ts'
import { cpuUs } from './support/serve-server.ts'
import { median, round } from './support/statistics.ts'

const repetitions = 5
const bytesPerRun = 128 * 1024 * 1024
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
export async function run(): Promise<BenchResult> {
  const sides = [await startKairo(), await startNodeHttps()]
  let samples: Awaited<ReturnType<typeof measure>>
  try {
    samples = await measure(sides)
  } finally {
    await Promise.all(sides.map((side) => side.stop()))
  }
  return result(samples, await countOriginRequests())
}

async function measure(sides: readonly Side[]): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>()
  for (let repetition = 0; repetition <= repetitions; repetition += 1) {
    for (const size of Object.keys(meshSizes) as MeshSize[]) {
      for (const side of sides) {
        const sample = await measureOnce(side, size)
        // The first round only warms up.
        const key = `${side.name} ${size}`
        if (repetition > 0) samples.set(key, [...(samples.get(key) ?? []), sample])
      }
    }
  }
  return samples
}

async function measureOnce(side: Side, size: MeshSize): Promise<Sample> {
  let left = Math.ceil(bytesPerRun / meshSizes[size])
  let bytes = 0
  const serverBefore = await cpuUs(side.serverPid)
  const clientBefore = process.cpuUsage()
  const startMs = performance.now()
  const worker = async (copy: number): Promise<void> => {
    while (left > 0) {
      left -= 1
      const got = await side.fetch(`${size}-${copy}`)
      bytes += got
    }
  }
  await Promise.all(Array.from({ length: meshCopies }, (_, copy) => worker(copy)))
  const seconds = (performance.now() - startMs) / 1_000
  const client = process.cpuUsage(clientBefore)
  const server = (await cpuUs(side.serverPid)) - serverBefore
  const megabytes = bytes / 1e6
  return {
    mbps: megabytes / seconds,
    cpuUsPerMB: (client.user + client.system + server) / megabytes,
  }
}

async function startKairo(): Promise<Side> {
  const { program, told } = await startServer('mesh-kairo.ts')
  const { peerId, port, certificateDigest, digests } = told as {
    peerId: string
    port: number
    certificateDigest: string
    digests: Record<string, string>
  }
  const base = { clock: systemClock, logger: silentLogger, registry: createRegistry() }
  const home = await mkdtemp(join(tmpdir(), 'kairo-bench-mesh-'))
  const { privateKey } = await loadIdentity(home, silentLogger)
  await rm(home, { recursive: true })
  const host = new Libp2pHost(base, { privateKey, listen: [], mdns: false })
  const endpoint = { addresses: [`127.0.0.1:${port}`], certificateDigest }
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
    fetch: async (name) => (await fetcher.fetch(digests[name] ?? '', [peerId])).byteLength,
    serverPid: program.child.pid as number,
    stop: async () => {
      await http.stop()
      await host.stop()
      await program.stop()
    },
  }
}

async function startNodeHttps(): Promise<Side> {
  const { program, told } = await startServer('mesh-node-https.ts')
  const { port } = told as { port: number }
  const agent = new Agent({ keepAlive: true, maxSockets: meshCopies, rejectUnauthorized: false })
  return {
    name: 'node:https',
    fetch: async (name) => {
      const [answer] = await once(
        get({ agent, port, host: '127.0.0.1', path: `/${name}` }),
        'response',
      )
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      await once(answer, 'end')
      return Buffer.concat(chunks).byteLength
    },
    serverPid: program.child.pid as number,
    stop: async () => {
      agent.destroy()
      await program.stop()
    },
  }
}

async function startServer(file: string): Promise<{ program: ChildProgram; told: unknown }> {
  const path = new URL(`support/${file}`, import.meta.url).pathname
  const program = startProgram(process.execPath, [path])
  const lines = createInterface({ input: program.child.stdout as NodeJS.ReadableStream })
  const [line] = (await once(lines, 'line')) as [string]
  return { program, told: JSON.parse(line) }
}

function result(
  samples: ReadonlyMap<string, readonly Sample[]>,
  originRequests: number,
): BenchResult {
  const of = (name: Side['name'], size: MeshSize, key: keyof Sample): number =>
    median((samples.get(`${name} ${size}`) ?? []).map((sample) => sample[key]))
  const ratios: Record<string, number> = {}
  const values: Record<string, number> = { originRequests }
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
  return {
    ok: ratios.mbpsVsNodeHttps >= targetRatio && originRequests === 1,
    ratios,
    values,
    peers: { 'node:https': process.version },
    table: formatTable(table),
  }
}
