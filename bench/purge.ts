/**
 * Purges over a network of twenty peers, each the whole program in a process of its own, in front of one origin: from the command at the
 * API of one of them until its answer, which comes when the last of the others has acknowledged that its cache has forgotten.
 */
import { type BenchOptions, type BenchResult, formatTable, progress } from './result.ts'
import { kairoVersion } from './support/kairo-process.ts'
import { type PurgePeers, startPurgePeers } from './support/purge-peers.ts'
import { quantile, round } from './support/statistics.ts'

/** Ends a bench that hangs; it takes about two minutes on two cores, most of them for starting the peers. */
export const deadlineMs = 8 * 60_000

const PEERS = 20
const PEERS_QUICK = 5
/** Commands that are not counted: code that runs often is compiled by then, in each of the processes. */
const WARM_UP = 100
const PURGES = 200
const PURGES_QUICK = 20
const P99_TARGET_MS = 150
/** Between filling the caches and the command: what the fills leave to be done is not part of a purge. Below the rate that one peer may make. */
const PAUSE_MS = 100

/** Runs the bench; its figures are named in bench/README.md. */
export async function run({ isQuick }: BenchOptions): Promise<BenchResult> {
  const purges = isQuick ? PURGES_QUICK : PURGES
  const count = isQuick ? PEERS_QUICK : PEERS
  progress(`starting ${count} peers`)
  const network = await startPurgePeers(count)
  try {
    progress('warming up')
    await measure(network, 0, WARM_UP)
    progress(`${purges} purges`)
    const { timesMs, incomplete } = await measure(network, WARM_UP, purges)
    const values = {
      p50Ms: round(quantile(timesMs, 0.5)),
      p99Ms: round(quantile(timesMs, 0.99)),
      maxMs: round(Math.max(...timesMs)),
      peers: count,
      purges,
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

/** Purges at one peer after the other; what is purged is cached at every one of them, and each must tell that it has forgotten it. */
async function measure(
  network: PurgePeers,
  first: number,
  count: number,
): Promise<{ timesMs: number[]; incomplete: number }> {
  const timesMs: number[] = []
  let incomplete = 0
  for (let index = first; index < first + count; index += 1) {
    const path = `/page-${index}/2000`
    await network.cache(path)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    const { ms, report } = await network.purge(index, path)
    timesMs.push(ms)
    const forgot = report.peers.filter(({ status, purged }) => status === 'done' && purged > 0)
    if (!report.complete || forgot.length !== network.count) incomplete += 1
  }
  return { timesMs, incomplete }
}
