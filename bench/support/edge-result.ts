/** What the `edge` bench has found, as figures and as a table. */
import { type BenchResult, formatTable } from '../result.ts'
import type { EdgeSample } from './edge-load.ts'
import type { HeldResult } from './held-connections.ts'
import type { ServedProcess } from './served-process.ts'
import { median, round } from './statistics.ts'

const MiB = 1024 * 1024

/** The cached objects that are asked for, and over how many connections. */
export const edgeKinds = [
  { label: '2k', path: '/2k', bytes: 2_048, connections: 64, generator: 'wrk' },
  { label: '1m', path: '/1m', bytes: MiB, connections: 16, generator: 'own' },
] as const

const rpsTargets = { '2k': 0.9, '1m': 0.7 }
const P99_TARGET = 2
const HIT_RATIO_TARGET = 1.05
/** What nginx may hold beyond its size, at its highest, for the comparison of hits to be one. */
const NGINX_FILL_MAX = 1.1
/** Growth of memory that counts as flat: what garbage collection leaves lying, beside a file of 1,074 MB. */
const FLAT_MB = 64

/** Runs by server and kind of object, `nginx 2k`. */
export type EdgeSamples = Map<string, EdgeSample[]>

/** What came of the trace at one cache. */
export interface EdgeHits {
  /** Share of the requests that did not come to the origin. */
  readonly ratio: number
  readonly seconds: number
  /** What the cache held at its highest over what it may hold. */
  readonly fill: number
}

/** What connections and a gigabyte cost. */
export interface EdgeMemory {
  readonly held: HeldResult
  /** Resident megabytes before, at the highest during, and after a gigabyte was served from disk. */
  readonly beforeMB: number
  readonly maxMB: number
  readonly afterMB: number
  /** The highest while it came from the origin. */
  readonly fillMaxMB: number
  readonly mbps: number
}

/** Everything that was found. */
export interface EdgeFindings {
  readonly wrk: string
  readonly servers: readonly ServedProcess[]
  readonly samples: EdgeSamples
  readonly hits: ReadonlyMap<string, EdgeHits>
  readonly memory: EdgeMemory
  /** Idle connections that were opened. */
  readonly idle: number
}

const shortNames: Readonly<Record<string, string>> = {
  ...{ kairo: 'Kairo', nginx: 'Nginx', varnish: 'Varnish' },
}

interface Report {
  readonly ratios: Record<string, number>
  readonly values: Record<string, number>
  readonly rows: string[][]
}

/** Figures, table, and whether every target was met; a rival that is missing is none. */
export function edgeResult(findings: EdgeFindings): BenchResult {
  const { servers, wrk, hits, memory, idle } = findings
  const report: Report = { ratios: {}, values: {}, rows: [['what', 'of', 'figure', 'target']] }
  reportSpeed(report, findings)
  reportHits(report, hits)
  reportMemory(report, memory, idle)
  const { ratios, values, rows } = report
  const missing = ['nginx', 'varnish'].filter((name) => !servers.some((one) => one.name === name))
  const isFast = edgeKinds.every(
    ({ label }) =>
      (ratios[`rpsVsNginx${label}`] ?? 0) >= rpsTargets[label] &&
      (ratios[`p99VsNginx${label}`] ?? Number.POSITIVE_INFINITY) <= P99_TARGET,
  )
  const isFair = (values.nginxFill ?? Number.POSITIVE_INFINITY) <= NGINX_FILL_MAX
  return {
    ok:
      missing.length === 0 &&
      isFast &&
      isFair &&
      (ratios.hitRatioVsNginx ?? 0) >= HIT_RATIO_TARGET &&
      memory.held.idleHeld === idle &&
      memory.maxMB - memory.beforeMB <= FLAT_MB,
    ratios,
    values,
    peers: {
      ...Object.fromEntries(servers.map(({ name, version }) => [name, version])),
      load: `wrk ${wrk} (2k), own on Node ${process.versions.node} (1m)`,
    },
    ...(missing.length > 0 && { missing }),
    table: formatTable(rows),
  }
}

function reportSpeed({ ratios, values, rows }: Report, { servers, samples }: EdgeFindings): void {
  for (const { label } of edgeKinds) {
    const middle = (name: string, of: keyof EdgeSample) =>
      median((samples.get(`${name} ${label}`) ?? []).map((sample) => sample[of]))
    for (const { name } of servers) {
      const key = `${shortNames[name] ?? name}${label}`
      const figures = {
        rps: middle(name, 'rps'),
        p99Ms: middle(name, 'p99Ms'),
        cpuUs: middle(name, 'cpuUs'),
        busy: middle(name, 'busy'),
      }
      values[`rps${key}`] = Math.round(figures.rps)
      values[`p99Ms${key}`] = round(figures.p99Ms, 2)
      values[`cpuUs${key}`] = round(figures.cpuUs)
      values[`busy${key}`] = round(figures.busy, 2)
      const text = [
        `${values[`rps${key}`]} requests/s, p99 ${values[`p99Ms${key}`]} ms,`,
        `${values[`cpuUs${key}`]} us of CPU each, core busy ${Math.round(figures.busy * 100)} %`,
      ]
      rows.push([label, name, text.join(' '), ''])
      if (name === 'kairo') continue
      for (const [figure, field] of [
        ['rps', 'rps'],
        ['p99', 'p99Ms'],
        ['cpu', 'cpuUs'],
      ] as const) {
        ratios[`${figure}Vs${key}`] = round(middle('kairo', field) / figures[field], 2)
      }
    }
    const targets = `>= ${rpsTargets[label]}, <= ${P99_TARGET}`
    const [rps, p99] = [ratios[`rpsVsNginx${label}`], ratios[`p99VsNginx${label}`]]
    rows.push([label, 'kairo / nginx', `requests/s ${rps}, p99 ${p99}`, targets])
  }
}

function reportHits({ ratios, values, rows }: Report, hits: EdgeFindings['hits']): void {
  for (const [name, { ratio, seconds, fill }] of hits) {
    values[`hitRatio${shortNames[name] ?? name}`] = round(ratio, 4)
    values[`${name}Fill`] = round(fill, 3)
    values[`traceSeconds${shortNames[name] ?? name}`] = round(seconds)
    const text = `${round(ratio * 100, 2)} % hits, ${round(fill * 100)} % full at most`
    rows.push([
      'Zipf trace',
      name,
      text,
      name === 'nginx' ? `<= ${round(NGINX_FILL_MAX * 100)} %` : '',
    ])
  }
  const [kairo, nginx] = [hits.get('kairo')?.ratio, hits.get('nginx')?.ratio]
  if (kairo === undefined || nginx === undefined) return
  ratios.hitRatioVsNginx = round(kairo / nginx, 3)
  const text = `hits ${ratios.hitRatioVsNginx}`
  rows.push(['Zipf trace', 'kairo / nginx', text, `>= ${HIT_RATIO_TARGET}`])
}

function reportMemory({ values, rows }: Report, memory: EdgeMemory, idle: number): void {
  const { held } = memory
  values.idleHeld = held.idleHeld
  values.idleConnectionBytes = held.bytesPerConnection
  values.heldRps = Math.round(held.requestsPerSecond)
  values.activeMB = round(held.activeBytes / 1e6)
  for (const name of ['beforeMB', 'maxMB', 'afterMB', 'fillMaxMB'] as const) {
    values[`gigabyte${name[0]?.toUpperCase()}${name.slice(1)}`] = round(memory[name])
  }
  values.gigabyteMBps = Math.round(memory.mbps)
  const connections = `${held.idleHeld} of ${idle} held, ${held.bytesPerConnection} bytes each`
  rows.push(['idle', 'kairo', connections, 'all'])
  rows.push(['active', 'kairo', `${values.heldRps} requests/s beside them`, ''])
  const { gigabyteBeforeMB: before, gigabyteMaxMB: max, gigabyteAfterMB: after } = values
  const text = `RSS ${before} MB, ${max} MB at most, ${after} MB after; ${values.gigabyteMBps} MB/s`
  rows.push(['1 GB', 'kairo', text, `+ <= ${FLAT_MB} MB`])
}
