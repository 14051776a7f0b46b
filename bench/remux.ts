/**
 * The passthrough: what one live stream costs in processor time, from RTMP to LL-HLS without re-encoding, beside MediaMTX on
 * the same pushes. Both keep parts in RAM only, have no viewers and are measured from outside, as processes.
 */
import { readFileSync } from 'node:fs'
import { findMediamtx, startMediamtx } from './peers/mediamtx.ts'
import { type BenchResult, formatTable } from './result.ts'
import { type FlvTag, loadClip } from './support/clip.ts'
import { addStreamKeys, kairoVersion, startKairo } from './support/kairo-process.ts'
import { startPush } from './support/rtmp-pusher.ts'
import { median, round } from './support/statistics.ts'

const RUNS = 3
const STREAMS = 20
/** Until every stream has begun and code that runs often is compiled. */
const WARM_UP_MS = 8_000
const MEASURED_MS = 15_000
/** Linux counts a process's time in these (USER_HZ), everywhere that Node runs. */
const TICKS_PER_S = 100
/** MediaMTX and we at the same cost would be 1; more streams a core than MediaMTX is below it. */
const RATIO_MAX = 1

/** Runs the bench. */
export async function run(): Promise<BenchResult> {
  const tags = await loadClip()
  const mediamtx = await findMediamtx()
  const ours: number[] = []
  const theirs: number[] = []
  const peers: Record<string, string> = { kairo: kairoVersion() }
  for (let turn = 0; turn < RUNS; turn += 1) {
    ours.push(await measureKairo(tags))
    if (mediamtx !== undefined) {
      const { cost, version } = await measureMediamtx(mediamtx, tags)
      theirs.push(cost)
      peers.mediamtx = version
    }
  }
  return report(ours, theirs, peers)
}

function report(
  ours: readonly number[],
  theirs: readonly number[],
  peers: Readonly<Record<string, string>>,
): BenchResult {
  const cost = median(ours)
  const values: Record<string, number> = {
    cpuMsPerStreamSecond: round(cost, 2),
    streamsPerCore: Math.floor(1_000 / cost),
    streams: STREAMS,
  }
  const ratios: Record<string, number> = {}
  if (theirs.length > 0) {
    values.mediamtxCpuMsPerStreamSecond = round(median(theirs), 2)
    ratios.cpuVsMediamtx = round(cost / median(theirs), 3)
  }
  return {
    ok: (ratios.cpuVsMediamtx ?? 0) <= RATIO_MAX,
    ratios,
    values,
    peers,
    ...(theirs.length === 0 && { missing: ['mediamtx'] }),
    table: formatTable([
      ['figure', 'value', 'target'],
      ...Object.entries(values).map(([name, value]) => [name, String(value), '']),
      ...Object.entries(ratios).map(([name, value]) => [
        name,
        String(value),
        `at most ${RATIO_MAX}`,
      ]),
    ]),
  }
}

async function measureKairo(tags: readonly FlvTag[]): Promise<number> {
  const peer = await startKairo([
    ...['--default-quality', 'source', '--dvr-window-s', '0', '--disk-bytes-max', '0'],
    ...['--no-mdns', '--srt', 'off'],
  ])
  try {
    const keys = await addStreamKeys(peer.ready, STREAMS)
    return await measure(peer.child.pid, peer.ready.rtmp, keys, tags)
  } finally {
    await peer.stop()
  }
}

async function measureMediamtx(
  binary: string,
  tags: readonly FlvTag[],
): Promise<{ cost: number; version: string }> {
  const server = await startMediamtx(binary)
  try {
    const keys = Array.from({ length: STREAMS }, (_, index) => `stream-${index}`)
    return { cost: await measure(server.pid, server.rtmp, keys, tags), version: server.version }
  } finally {
    await server.stop()
  }
}

/** Milliseconds of processor time that one stream costs a second. */
async function measure(
  pid: number | undefined,
  rtmp: string,
  keys: readonly string[],
  tags: readonly FlvTag[],
): Promise<number> {
  if (pid === undefined) throw new Error('the server has no process')
  const pushes = []
  try {
    // One after the other, so that keyframes of different streams do not come at the same instant on either side.
    for (const key of keys) {
      pushes.push(await startPush(rtmp, key, tags))
      await wait(50)
    }
    await wait(WARM_UP_MS)
    const [cpuBefore, before] = [cpuMs(pid), performance.now()]
    await wait(MEASURED_MS)
    const [cpuAfter, after] = [cpuMs(pid), performance.now()]
    return (cpuAfter - cpuBefore) / ((after - before) / 1_000) / keys.length
  } finally {
    for (const push of pushes) push.stop()
    await Promise.allSettled(pushes.map(({ done }) => done))
  }
}

/** User and system time of a process and all its threads (proc(5), fields 14 and 15 of stat). */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_S
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
