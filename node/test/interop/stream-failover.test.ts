/**
 * A stream whose peer is killed goes on at another one: three peers as a user starts them, ffmpeg as the publisher, the stream's keys brought
 * over by the command line. While the first one lives the second one refuses; afterwards numbers go on above, and who watches at the
 * third one is shown the rest. The first one comes back as one more that shows what the second one publishes.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, t, test } from 'tap'
import { ffmpegPush } from '../support/ffmpeg-push.ts'
import { HlsChecker } from '../support/hls-checker.ts'
import { readPlaylist } from '../support/hls-playlist.ts'
import { httpRequest } from '../support/http-get.ts'
import { metricValue } from '../support/metric-value.ts'
import { needs } from '../support/needs.ts'
import { type PeerProcess, runCliProcess, startPeer } from '../support/peer-process.ts'
import { untilThreeVoters } from '../support/region-at.ts'
import { until } from '../support/until.ts'

// Whole peers, on a machine that has other things to do as well.
t.setTimeout(300_000)

/** Little of a stream is in its live window, so that the rest of it is had by going back. */
const quiet = ['--no-ipfs', '--srt', 'off', '--window-segments', '5']

interface StreamAtPeer {
  readonly name: string
  readonly state: string
  readonly originPeer: string
  readonly lease: string | null
  readonly regionViewers: number | null
}

interface SwarmAtPeer {
  readonly viewers: number
  readonly holders: number
  readonly renditions: readonly {
    readonly name: string
    readonly holders: readonly { readonly peerId: string }[]
  }[]
}

/** Who has and who watches a stream in the region, as a peer is told. */
async function swarmAt({ ready }: PeerProcess, name: string): Promise<SwarmAtPeer> {
  const { stdout } = await runCliProcess(['swarms', name, '--json', '--home', ready.home])
  return JSON.parse(stdout) as SwarmAtPeer
}

async function streamAt({ ready }: PeerProcess, name: string): Promise<StreamAtPeer | undefined> {
  const { text } = await httpRequest(`${ready.http}/api/streams`)
  const { streams } = JSON.parse(text) as { streams: StreamAtPeer[] }
  return streams.find((stream) => stream.name === name)
}

/** Numbers of the segments that a peer lists, and whether there is a break among them. */
async function listed({ ready }: PeerProcess, name: string) {
  const { status, text } = await httpRequest(`${ready.http}/live/${name}/source/media.m3u8`)
  if (status !== 200) return undefined
  const { mediaSequence, segments } = readPlaylist(text)
  return {
    first: mediaSequence,
    last: segments.findLast(({ uri }) => uri !== undefined)?.msn ?? 0,
    hasBreak: text.includes('#EXT-X-DISCONTINUITY\n'),
    ended: text.includes('#EXT-X-ENDLIST'),
  }
}

/** Publishes like a program that connects again when it is turned away, for half a minute: right after the kill the second peer may not know yet. */
function pushAgainAndAgain(t: Test, url: string): void {
  const endsMs = performance.now() + 30_000
  const push = (): void => {
    const { child } = ffmpegPush(t, url)
    child.once('exit', () => {
      if (performance.now() < endsMs) push()
    })
  }
  push()
}

/** Loads a playlist as a player does, until it is told to stop; says then what was wrong with it. */
function watch({ ready }: PeerProcess, name: string): () => Promise<unknown[]> {
  const checker = new HlsChecker({ dateToleranceMs: 60 })
  const failures: unknown[] = []
  let isWatched = true
  const loads = (async () => {
    while (isWatched) {
      const { status, text } = await httpRequest(`${ready.http}/live/${name}/source/media.m3u8`)
      if (status === 200) checker.load(text)
      else failures.push(status)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  })()
  return async () => {
    isWatched = false
    await loads
    // A look every 200 ms may come when a segment has just lost its parts.
    const isNoLateLook = ({ message }: { message: string }) => !message.includes('loses its parts')
    return [...failures, ...checker.findings.filter(isNoLateLook)]
  }
}

test('a stream goes on at a second peer when the first one is killed', {
  skip: needs('ffmpeg'),
}, async (t) => {
  const homes = t.testdir()
  const a = await startPeer(t, join(homes, 'a'), quiet)
  const joining = [...quiet, '--join', a.ready.multiaddrs[0] as string]
  const [b, c] = await Promise.all(
    ['b', 'c'].map((name) => startPeer(t, join(homes, name), joining)),
  )
  if (b === undefined || c === undefined) throw new Error('two peers were started')
  const name = a.ready.stream
  await untilThreeVoters(c)

  const file = join(homes, 'stream.json')
  const exported = await runCliProcess(['keys', 'export', name, file, '--home', a.ready.home])
  t.equal(exported.code, 0, exported.stderr)
  t.equal(statSync(file).mode & 0o777, 0o600, 'for its owner alone')
  t.notOk(exported.stdout.includes(a.ready.streamKey), 'and not on the screen')
  t.match(await runCliProcess(['keys', 'export', name, file, '--home', a.ready.home]), { code: 1 })
  t.match(await runCliProcess(['keys', 'import', file, '--home', b.ready.home]), { code: 0 })
  t.match(await runCliProcess(['keys', 'import', file, '--home', b.ready.home]), {
    code: 1,
    stderr: /ERR_NAME_TAKEN/,
  })

  ffmpegPush(t, `${a.ready.rtmp}/${a.ready.streamKey}`)
  let before: Awaited<ReturnType<typeof listed>>
  const watches = async (): Promise<boolean> => {
    before = await listed(c, name)
    return before !== undefined && before.last >= 3
  }
  await until(watches, 'the stream at the third peer', 60_000)
  t.match(await streamAt(a, name), { lease: 'confirmed', originPeer: a.ready.peerId })
  t.match(await streamAt(c, name), { lease: null, originPeer: a.ready.peerId })
  // A leader that has just come is told all within a second or two, and until then it knows less: all that is known counts at one moment.
  const isKnown = async (): Promise<boolean> => {
    const { viewers, holders, renditions } = await swarmAt(b, name)
    const source = renditions.find((rendition) => rendition.name === 'source')
    const have = source?.holders.map(({ peerId }) => peerId) ?? []
    const both = [a, c].every(({ ready }) => have.includes(ready.peerId))
    return viewers >= 1 && holders === 2 && have.length === 2 && both
  }
  await until(isKnown, 'the region to know who has it and who watches', 60_000)
  const told = async () => ((await streamAt(b, name))?.regionViewers ?? 0) >= 1
  await until(told, 'viewers of the region in the list of streams', 30_000)

  const second = ffmpegPush(t, `${b.ready.rtmp}/${a.ready.streamKey}`)
  await until(() => second.child.exitCode !== null, 'the refusal', 30_000)
  t.ok(b.log().includes(`the peer ${a.ready.peerId} publishes this stream`), 'says by whom')
  t.equal(await metricValue(b.ready.http, 'kairo_stream_leases_refused_total'), 1)
  t.match(
    await streamAt(b, name),
    { originPeer: a.ready.peerId },
    'which is shown what comes there',
  )

  const last = (await listed(a, name))?.last ?? 0
  await a.end('SIGKILL')
  pushAgainAndAgain(t, `${b.ready.rtmp}/${a.ready.streamKey}`)
  let after: Awaited<ReturnType<typeof listed>>
  const goesOn = async (): Promise<boolean> => {
    after = await listed(c, name)
    return after !== undefined && after.last >= last + 3
  }
  await until(goesOn, 'the stream at the third peer, from the second', 60_000)
  t.ok(after?.hasBreak, 'players are told of the break')
  t.notOk(after?.ended)
  t.match(await streamAt(c, name), { state: 'live', originPeer: b.ready.peerId })
  t.match(await streamAt(b, name), { lease: 'confirmed' })
  const isForgotten = async (): Promise<boolean> => {
    const { holders, renditions } = await swarmAt(c, name)
    const others = renditions.flatMap((one) => one.holders.map(({ peerId }) => peerId))
    return holders === 2 && others.includes(b.ready.peerId) && !others.includes(a.ready.peerId)
  }
  await until(isForgotten, 'the region to know who has it now', 60_000)
  const first = (await listed(b, name))?.first ?? 0
  t.ok(first > last, `${first} comes after ${last}`)

  await t.test('the first one comes back, and shows what the second one publishes', async (t) => {
    const stopWatching = watch(c, name)
    const joinB = ['--join', b.ready.multiaddrs[0] as string]
    const back = await startPeer(t, join(homes, 'a'), [...quiet, ...joinB])
    // A publisher that waited for it is there before its region answers.
    const third = ffmpegPush(t, `${back.ready.rtmp}/${a.ready.streamKey}`)
    const follows = async (): Promise<boolean> => ((await listed(back, name))?.last ?? 0) > first
    await until(follows, 'the stream at the first peer, from the second', 60_000)
    await until(() => third.child.exitCode !== null, 'the refusal there', 30_000)
    t.ok(back.log().includes(`the peer ${b.ready.peerId} publishes this stream`), 'says by whom')
    t.match(await streamAt(back, name), { originPeer: b.ready.peerId, lease: null })
    const hasLeftWindow = async (): Promise<boolean> =>
      ((await listed(b, name))?.last ?? 0) >= first + 8
    await until(hasLeftWindow, 'more than a live window', 60_000)
    const shown = (await listed(back, name))?.first ?? 0
    t.ok(shown >= first, `${shown} is what the second one published, and nothing of its own`)
    t.same(await stopWatching(), [], 'viewers at the third peer notice nothing')
    t.match(await streamAt(c, name), { state: 'live', originPeer: b.ready.peerId })
  })
})
