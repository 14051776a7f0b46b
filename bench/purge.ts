/**
 * Purges over a network of twenty peers, each a process of its own with its log on disk: from the command at one of them until the last of the
 * others has acknowledged that its cache has forgotten.
 */
import { type BenchResult, formatTable } from './result.ts'
import { kairoVersion } from './support/kairo-process.ts'
import { type PurgePeers, startPurgePeers } from './support/purge-peers.ts'
import { quantile, round } from './support/statistics.ts'

const PEERS = 20
/** Commands that are not counted: code that runs often is compiled by then. */
const WARM_UP = 40
const PURGES = 200
const P99_TARGET_MS = 150
/** Between two commands, as an operator's publishing system might send them; below the rate that one peer may make. */
const PAUSE_MS = 25

interface Report {
  readonly complete: boolean
  readonly peers: readonly { readonly ms: number; readonly status: string }[]
}

/** Measures; about two minutes on two cores, most of them for starting the peers. */
export async function run(): Promise<BenchResult> {
  const network = await startPurgePeers(PEERS)
  try {
    await measure(network, WARM_UP)
    const { timesMs, incomplete } = await measure(network, PURGES)
    const values = {
      p50Ms: round(quantile(timesMs, 0.5)),
      p99Ms: round(quantile(timesMs, 0.99)),
      maxMs: round(Math.max(...timesMs)),
      peers: PEERS,
      purges: PURGES,
      incomplete,
    }
    return {
      ok: incomplete === 0 && values.p99Ms < P99_TARGET_MS,
      ratios: {},
      values,
      peers: { kairo: kairoVersion() },
      table: formatTable([
        ['figure', 'value', 'target'],
        ['p50Ms', String(values.p50Ms), ''],
        ['p99Ms', String(values.p99Ms), `below ${P99_TARGET_MS}`],
        ['maxMs', String(values.maxMs), ''],
        ['incomplete', String(values.incomplete), '0'],
      ]),
    }
  } finally {
    await network.stop()
  }
}

/** Purges at one peer after the other; what is purged is cached everywhere. */
async function measure(
  { peers }: PurgePeers,
  count: number,
): Promise<{ timesMs: number[]; incomplete: number }> {
  const timesMs: number[] = []
  let incomplete = 0
  for (let index = 0; index < count; index += 1) {
    const url = `https://cdn.example/${index}`
    await Promise.all(peers.map((peer) => peer.call({ op: 'put', url, body: 'old' })))
    const issuer = peers[index % peers.length] as PurgePeers['peers'][number]
    const selector = { by: 'url', url }
    const startedMs = performance.now()
    const report = await issuer.call<Report>({ op: 'purge', selector, mode: 'hard' })
    timesMs.push(performance.now() - startedMs)
    if (!report.complete || report.peers.length !== peers.length) incomplete += 1
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  return { timesMs, incomplete }
}
