/**
 * The `tracker` bench: announces to the soft state of a shard beside those to bittorrent-tracker, each server a process of its own on one core, in turns;
 * and how many updates the soft state takes without a socket, and what a peer costs it.
 */
import { bittorrentTrackerVersion, loadBittorrentTracker } from './peers/bittorrent-tracker.ts'
import { type BenchOptions, type BenchResult, formatTable, progress } from './result.ts'
import { runProgram } from './support/child-program.ts'
import { onCore } from './support/cores.ts'
import { kairoVersion } from './support/kairo-process.ts'
import { cpuUs } from './support/process-tree.ts'
import { median, round } from './support/statistics.ts'
import { loadSoftState } from './support/tracker-soft-load.ts'
import type { AnnounceLoad } from './support/tracker-work.ts'

/** Ends a bench that hangs; it takes about a minute on two cores. */
export const deadlineMs = 4 * 60_000

const repetitions = 3
const secondsPerRun = 4
const secondsPerRunQuick = 1
const targetRatio = 20
const targetUpdatesPerS = 100_000

interface InProcess {
  readonly updatesPerS: number
  readonly bytesPerPeer: number
  readonly tableBytesPerPeer: number
}

/** Runs the bench; its figures are named in bench/README.md. */
export async function run({ isQuick }: BenchOptions): Promise<BenchResult> {
  progress('the soft state without sockets')
  const inProcess = await runInProcess(isQuick)
  const loads: AnnounceLoad[] = []
  try {
    progress('peers join their swarms')
    const { batches, singles } = await loadSoftState()
    loads.push(batches, singles)
    loads.push(await loadBittorrentTracker())
    return result(inProcess, await measure(loads, isQuick ? secondsPerRunQuick : secondsPerRun))
  } finally {
    await Promise.all(loads.map((load) => load.stop()))
  }
}

async function runInProcess(isQuick: boolean): Promise<InProcess> {
  const program = new URL('./support/tracker-in-process.ts', import.meta.url).pathname
  const args = ['--expose-gc', '--max-old-space-size=4096', program]
  const [command = '', ...words] = onCore('server', [process.execPath, ...args])
  const log = await runProgram(command, isQuick ? [...words, '--quick'] : words)
  return JSON.parse(log.trim().split('\n').at(-1) ?? '') as InProcess
}

interface Reading {
  readonly announcesPerS: number
  /** Share of the time in which the server had its core. */
  readonly busy: number
  /** Of the server. */
  readonly cpuUsPerAnnounce: number
}

async function measure(
  loads: readonly AnnounceLoad[],
  seconds: number,
): Promise<ReadonlyMap<string, Reading>> {
  const readings = new Map<string, Reading[]>()
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    progress(repetition === 0 ? 'warming up' : `round ${repetition} of ${repetitions}`)
    for (const load of loads) {
      const before = cpuUs(load.serverPid)
      const announcesPerS = await load.run(repetition === 0 ? 1 : seconds)
      const busy = (cpuUs(load.serverPid) - before) / 1e6 / seconds
      // The first round only warms up.
      if (repetition > 0) {
        const cpuUsPerAnnounce = (busy / announcesPerS) * 1e6
        const reading = { announcesPerS, busy, cpuUsPerAnnounce }
        readings.set(load.name, [...(readings.get(load.name) ?? []), reading])
      }
    }
  }
  const middle = (all: readonly Reading[], key: keyof Reading): number =>
    median(all.map((reading) => reading[key]))
  return new Map(
    [...readings].map(([name, all]) => [
      name,
      {
        announcesPerS: middle(all, 'announcesPerS'),
        busy: middle(all, 'busy'),
        cpuUsPerAnnounce: middle(all, 'cpuUsPerAnnounce'),
      },
    ]),
  )
}

function result(inProcess: InProcess, readings: ReadonlyMap<string, Reading>): BenchResult {
  const none = { announcesPerS: Number.NaN, busy: Number.NaN, cpuUsPerAnnounce: Number.NaN }
  const ours = readings.get('kairo') ?? none
  const single = readings.get('kairo, one a batch') ?? none
  const rival = readings.get('bittorrent-tracker') ?? none
  const ratio = round(ours.announcesPerS / rival.announcesPerS)
  const { updatesPerS, bytesPerPeer, tableBytesPerPeer } = inProcess
  const row = (name: string, reading: Reading): string[] => [
    name,
    `${Math.round(reading.announcesPerS)}`,
    `${round(reading.busy, 2)}`,
    `${round(reading.cpuUsPerAnnounce)}`,
  ]
  return {
    ok: ratio >= targetRatio && updatesPerS >= targetUpdatesPerS,
    ratios: {
      announcesVsBittorrentTracker: ratio,
      singleAnnouncesVsBittorrentTracker: round(single.announcesPerS / rival.announcesPerS),
      cpuVsBittorrentTracker: round(ours.cpuUsPerAnnounce / rival.cpuUsPerAnnounce, 4),
    },
    values: {
      softUpdatesPerS: Math.round(updatesPerS),
      bytesPerPeer: Math.round(bytesPerPeer),
      tableBytesPerPeer: Math.round(tableBytesPerPeer),
      announcesPerS: Math.round(ours.announcesPerS),
      singleAnnouncesPerS: Math.round(single.announcesPerS),
      announcesPerSBittorrentTracker: Math.round(rival.announcesPerS),
      busy: round(ours.busy, 2),
      busySingle: round(single.busy, 2),
      busyBittorrentTracker: round(rival.busy, 2),
    },
    peers: { kairo: kairoVersion(), 'bittorrent-tracker': bittorrentTrackerVersion() },
    table: formatTable([
      ['announces', 'a second', 'server busy', 'CPU us each'],
      row('kairo, 40 a batch', ours),
      row('kairo, one a batch', single),
      row('bittorrent-tracker, UDP', rival),
      ['updates without a socket', `${Math.round(updatesPerS)}`],
      ['bytes a peer', `${Math.round(bytesPerPeer)}, tables ${Math.round(tableBytesPerPeer)}`],
    ]),
  }
}
