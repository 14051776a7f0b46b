/** Pages for tests of the scheduler: their edge is open, neighbours are there, rates are measured. */
import { SchedulerBench } from './scheduler-bench.ts'

/** A page with an open edge and these neighbours. */
export function page(...peers: readonly string[]): SchedulerBench {
  const bench = new SchedulerBench()
  bench.tell({ type: 'edge', isOpen: true })
  bench.up(...peers)
  return bench
}

/** HTTP was measured: so many bits a second, over a second. */
export function measureHttp(bench: SchedulerBench, bps: number): void {
  const bytes = bps / 8
  bench.tell({ type: 'length', key: 'm/1', bytes })
  bench.want('m/1', 60_000, true)
  bench.flow('m/1', 0, bytes, 1_000)
  bench.tell({ type: 'fetched', key: 'm/1' }, { type: 'verified', key: 'm/1' })
}

/** A neighbour was measured: so many bits a second, over a second. */
export function measurePeer(bench: SchedulerBench, peer: string, bps: number): void {
  const bytes = bps / 8
  const measured = `m/${peer.charCodeAt(0)}`
  bench.tell({ type: 'length', key: measured, bytes })
  bench.has(peer, measured)
  bench.want(measured, 60_000)
  bench.flow(measured, 0, bytes, 1_000, peer)
  bench.tell({ type: 'peer-end', peer, key: measured, isCut: false })
  bench.tell({ type: 'verified', key: measured })
}
