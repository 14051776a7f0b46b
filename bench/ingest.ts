/**
 * From a publisher's socket to a viewer's: how long after its first picture was sent a part is there, at the peer that
 * ingests (beside MediaMTX, in turns) and at a second peer, and what latency hls.js itself reports.
 */
import { findMediamtx, startMediamtx } from './peers/mediamtx.ts'
import { type BenchResult, formatTable } from './result.ts'
import { findChromium, launchChromium } from './support/browser.ts'
import { type FlvTag, loadClip } from './support/clip.ts'
import { readHlsLatency } from './support/hls-latency.ts'
import { kairoVersion, startKairo } from './support/kairo-process.ts'
import { LlHlsWatcher, type SeenPart } from './support/ll-hls-watcher.ts'
import { type Push, startPush } from './support/rtmp-pusher.ts'
import { median, quantile, round } from './support/statistics.ts'

const RUNS = 3
const PUSH_MS = 14_000
/** Parts that a run must have seen to count. */
const PARTS_MIN = 20

/** MediaMTX does not transcode; neither side does here. */
const PASSTHROUGH = ['--default-quality', 'source']

const targets = { partDelayMs: 40, secondPeerDelayMs: 30, hlsLatencyS: 2 } as const

/** One part: when it came, and when its pictures were sent. */
interface PartTime {
  /** Number of its first picture. */
  readonly frame: number
  readonly arrivedAtMs: number
  /** From its first picture's sending to its arrival. */
  readonly totalMs: number
  /** The same, less the part's own duration; below zero where a part is closed with its last picture. */
  readonly delayMs: number
}

/** Measures; about two minutes. */
export async function run(): Promise<BenchResult> {
  const tags = await loadClip()
  const mediamtx = await findMediamtx()
  const chromium = findChromium()
  const ours: PartTime[] = []
  const theirs: PartTime[] = []
  const second: number[] = []
  const peers: Record<string, string> = { kairo: kairoVersion() }
  for (let turn = 0; turn < RUNS; turn += 1) {
    ours.push(...(await watchKairo(tags)))
    if (mediamtx !== undefined) {
      const { times, version } = await watchMediamtx(mediamtx, tags)
      theirs.push(...times)
      peers.mediamtx = version
    }
    second.push(...(await watchSecondPeer(tags)))
  }
  const player = chromium === undefined ? undefined : await watchInBrowser(chromium, tags)
  if (player !== undefined) peers.chromium = player.version
  const missing = [
    ...(mediamtx === undefined ? ['mediamtx'] : []),
    ...(chromium === undefined ? ['chromium'] : []),
  ]
  return report({ ours, theirs, second, player, peers, missing })
}

interface Measured {
  readonly ours: readonly PartTime[]
  readonly theirs: readonly PartTime[]
  readonly second: readonly number[]
  readonly player: { readonly latencyS: number; readonly playedS: number } | undefined
  readonly peers: Readonly<Record<string, string>>
  readonly missing: readonly string[]
}

function report({ ours, theirs, second, player, peers, missing }: Measured): BenchResult {
  const delays = ours.map((part) => part.delayMs)
  const values: { partDelayMs: number } & Record<string, number> = {
    partDelayMs: round(median(delays), 2),
    partDelayP95Ms: round(quantile(delays, 0.95), 2),
    secondPeerDelayMs: round(median(second), 2),
    secondPeerDelayP95Ms: round(quantile(second, 0.95), 2),
    parts: ours.length,
  }
  if (player !== undefined) {
    values.hlsLatencyS = round(player.latencyS, 3)
    values.hlsPlayedS = round(player.playedS, 2)
  }
  const ratios: Record<string, number> = {}
  if (theirs.length > 0) {
    const theirDelay = round(median(theirs.map((part) => part.delayMs)), 2)
    values.mediamtxPartDelayMs = theirDelay
    const total = (parts: readonly PartTime[]): number => median(parts.map((part) => part.totalMs))
    ratios.delayVsMediamtx = round(values.partDelayMs / theirDelay, 2)
    ratios.readyVsMediamtx = round(total(ours) / total(theirs), 3)
  }
  const rows = Object.entries(values).map(([name, value]) => {
    const target = targets[name as keyof typeof targets]
    return [name, String(value), target === undefined ? '' : `at most ${target}`]
  })
  const ok = Object.entries(targets).every(
    ([name, target]) => (values[name] ?? Number.POSITIVE_INFINITY) <= target,
  )
  return {
    ok,
    ratios,
    values,
    peers,
    ...(missing.length > 0 && { missing }),
    table: formatTable([
      ['figure', 'value', 'target'],
      ...rows,
      ...Object.entries(ratios).map(([name, value]) => [name, String(value), '']),
    ]),
  }
}

async function watchKairo(tags: readonly FlvTag[]): Promise<PartTime[]> {
  const peer = await startKairo(PASSTHROUGH)
  try {
    const { push, parts } = await pushAndWatch(peer.ready.rtmp, peer.ready.streamKey, tags, [
      playlistOf(peer.ready.http, peer.ready.stream),
    ])
    return timesOf(push, parts[0] ?? [])
  } finally {
    await peer.stop()
  }
}

async function watchMediamtx(
  binary: string,
  tags: readonly FlvTag[],
): Promise<{ times: PartTime[]; version: string }> {
  const server = await startMediamtx(binary)
  try {
    const { push, parts } = await pushAndWatch(server.rtmp, 'bench', tags, [
      server.playlist('bench'),
    ])
    return { times: timesOf(push, parts[0] ?? []), version: server.version }
  } finally {
    await server.stop()
  }
}

/** The differences between the same part's arrival at a second peer and at the first. */
async function watchSecondPeer(tags: readonly FlvTag[]): Promise<number[]> {
  const first = await startKairo(PASSTHROUGH)
  try {
    const second = await startKairo([...PASSTHROUGH, '--join', first.ready.multiaddrs[0] as string])
    try {
      const { push, parts } = await pushAndWatch(first.ready.rtmp, first.ready.streamKey, tags, [
        playlistOf(first.ready.http, first.ready.stream),
        playlistOf(second.ready.http, first.ready.stream),
      ])
      const [atFirst = [], atSecond = []] = parts.map((seen) => timesOf(push, seen))
      const arrived = new Map(atFirst.map((part) => [part.frame, part.arrivedAtMs]))
      return atSecond.flatMap((part) => {
        const before = arrived.get(part.frame)
        return before === undefined ? [] : [part.arrivedAtMs - before]
      })
    } finally {
      await second.stop()
    }
  } finally {
    await first.stop()
  }
}

async function watchInBrowser(
  chromium: string,
  tags: readonly FlvTag[],
): Promise<{ latencyS: number; playedS: number; version: string }> {
  const peer = await startKairo(PASSTHROUGH)
  const browser = await launchChromium(chromium)
  try {
    const push = await startPush(peer.ready.rtmp, peer.ready.streamKey, tags)
    const url = playlistOf(peer.ready.http, peer.ready.stream)
    await untilFound(url)
    const figures = await readHlsLatency(browser, url)
    push.stop()
    await push.done
    if (figures.errors.length > 0) console.error(`hls.js: ${figures.errors.join(', ')}`)
    return { ...figures, version: browser.version() }
  } finally {
    await browser.close()
    await peer.stop()
  }
}

/** Pushes for a while with watchers at the given playlists; the parts each of them saw. */
async function pushAndWatch(
  rtmp: string,
  key: string,
  tags: readonly FlvTag[],
  playlists: readonly string[],
): Promise<{ push: Push; parts: SeenPart[][] }> {
  const push = await startPush(rtmp, key, tags)
  const watchers = playlists.map(() => new LlHlsWatcher())
  const watching = watchers.map((watcher, index) => watcher.run(playlists[index] as string))
  const end = setTimeout(() => {
    for (const watcher of watchers) watcher.stop()
    push.stop()
  }, PUSH_MS)
  try {
    await Promise.all([push.done, ...watching])
  } finally {
    clearTimeout(end)
    for (const watcher of watchers) watcher.stop()
    push.stop()
  }
  for (const { troubles, parts } of watchers) {
    for (const trouble of troubles) console.error(`watcher: ${trouble}`)
    if (parts.length < PARTS_MIN) throw new Error(`a watcher saw only ${parts.length} parts`)
  }
  return { push, parts: watchers.map((watcher) => watcher.parts) }
}

/** Ties each part to the pictures in it; parts without pictures (audio) are left out. */
function timesOf(push: Push, parts: readonly SeenPart[]): PartTime[] {
  return parts.flatMap((part) => {
    const run = part.runs.find(({ tails }) => push.sent.has(tails[0] ?? ''))
    const first = push.sent.get(run?.tails[0] ?? '')
    if (run === undefined || first === undefined) return []
    const totalMs = part.arrivedAtMs - first.sentAtMs
    return [
      {
        frame: first.index,
        arrivedAtMs: part.arrivedAtMs,
        totalMs,
        delayMs: totalMs - run.durationMs,
      },
    ]
  })
}

function playlistOf(http: string, stream: string): string {
  return `${http}/live/${stream}/master.m3u8`
}

async function untilFound(url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answer = await fetch(url)
    await answer.body?.cancel()
    if (answer.ok) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${url} does not appear`)
}
