/** Files of every container, made by ffmpeg, become videos in real media children; ffprobe and the segment checker look at what came out. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'tap'
import type { ArchivedRendition } from '../../src/content/archive/presentation.ts'
import type { VodLibrary } from '../../src/vod/library.ts'
import { type CheckedRendition, checkRenditions } from '../support/cmaf-checker.ts'
import { h264Args, makeClip, probeClip } from '../support/make-clip.ts'
import { needs } from '../support/needs.ts'
import { needsSmallDisk, smallDisk } from '../support/small-disk.ts'
import { smallLadder, startVodPeer } from '../support/vod-peer.ts'

const skip = needs('ffmpeg', 'ffprobe')
const { signal } = new AbortController()

/** The whole rendition as one file. */
async function assemble(library: VodLibrary, rendition: ArchivedRendition): Promise<Buffer> {
  const digests = [
    rendition.segments[0]?.initDigest ?? '',
    ...rendition.segments.map(({ digest }) => digest),
  ]
  return Buffer.concat(await Promise.all(digests.map((digest) => library.read(digest, { signal }))))
}

/** A rendition as the checker takes it: each segment is one part. */
async function checkable(
  library: VodLibrary,
  rendition: ArchivedRendition,
): Promise<CheckedRendition> {
  const inits = new Map<string, Buffer>()
  for (const { initDigest } of rendition.segments) {
    if (!inits.has(initDigest)) inits.set(initDigest, await library.read(initDigest, { signal }))
  }
  const parts = await Promise.all(
    rendition.segments.map(async (segment) => ({
      ...{ msn: segment.msn, part: 0, data: await library.read(segment.digest, { signal }) },
      ...{ durationUs: segment.durationUs, independent: true, endOfSegment: true },
      ...{ discontinuity: segment.discontinuity, init: inits.get(segment.initDigest) as Buffer },
      programDateTimeMs: Math.round(segment.startUs / 1_000),
    })),
  )
  return {
    ...{ name: rendition.info.name, parts, targetDurationS: rendition.targetDurationS },
    partTargetUs: Math.max(...parts.map(({ durationUs }) => durationUs)),
  }
}

/** H.264 and sound only: the checker reads no other pictures. */
async function violations(library: VodLibrary, id: string): Promise<readonly unknown[]> {
  const found: unknown[] = []
  for (const rendition of library.get(id)?.renditions ?? []) {
    const { kind, codecs } = rendition.info
    if (kind === 'video' && !codecs.startsWith('avc1')) continue
    const name = rendition.info.name
    const broken = checkRenditions([{ ...(await checkable(library, rendition)), name }])
    // A segment of a file may hold several groups of pictures, which a live part may not.
    found.push(...broken.filter(({ rule }) => rule !== 'sync-inside'))
  }
  return found
}

test('files of every container become videos', { skip }, async (t) => {
  const folder = t.testdir({ 'a.srt': '1\n00:00:01,000 --> 00:00:02,000\nHi <b>you</b> & <x>\n' })
  const peer = await startVodPeer(join(folder, 'vod'))
  const { library } = peer
  t.teardown(() => peer.stop())
  const add = async (path: string) => {
    const { id } = await library.addFile({ path, title: '', mode: 'move' })
    const status = await peer.settled(id)
    return { status, presentation: library.get(id) }
  }
  const file = (name: string): string => join(folder, name)
  const subtitles = ['-i', file('a.srt')]
  const mapped = ['-map', '0:v', '-map', '1:a', '-map', '2', '-metadata:s:s:0', 'language=ger']

  const cases = [
    { name: 'plain.mp4', renditions: ['source', '72p', 'audio'], copied: 'h264' },
    {
      ...{ name: 'late.ts', renditions: ['source', '72p', 'audio'], copied: 'h264' },
      output: [...h264Args, '-c:a', 'aac', '-output_ts_offset', '36000'],
    },
    { name: 'flash.flv', renditions: ['source', '72p', 'audio'], copied: 'h264' },
    {
      ...{
        name: 'text.mkv',
        renditions: ['source', '72p', 'audio'],
        copied: 'h264',
        captions: true,
      },
      ...{ inputs: subtitles, output: [...h264Args, '-c:a', 'flac', '-c:s', 'srt', ...mapped] },
    },
    {
      ...{
        name: 'text.mov',
        renditions: ['source', '72p', 'audio'],
        copied: 'h264',
        captions: true,
      },
      ...{ inputs: subtitles, output: [...h264Args, '-c:a', 'aac', '-c:s', 'mov_text', ...mapped] },
    },
    {
      ...{ name: 'free.webm', renditions: ['source', '72p', 'audio'], copied: 'vp9' },
      output: [
        '-c:v',
        'libvpx-vp9',
        '-deadline',
        'realtime',
        '-cpu-used',
        '8',
        '-g',
        '50',
        '-c:a',
        'libopus',
      ],
    },
    {
      ...{ name: 'old.mov', renditions: ['72p', 'audio'] },
      output: ['-c:v', 'mpeg4', '-g', '300', '-c:a', 'pcm_s16le'],
    },
    {
      name: 'silent.mp4',
      renditions: ['source', '72p'],
      copied: 'h264',
      output: [...h264Args, '-an'],
    },
    { name: 'song.mp3', renditions: ['audio'], output: ['-vn'] },
  ]
  for (const { name, renditions, copied, inputs, output, captions } of cases as readonly {
    readonly name: string
    readonly renditions: readonly string[]
    readonly copied?: string
    readonly inputs?: readonly string[]
    readonly output?: readonly string[]
    readonly captions?: boolean
  }[]) {
    await t.test(name, async (t) => {
      await makeClip(file(name), { ...(inputs && { inputs }), ...(output && { output }) })
      const { status, presentation } = await add(file(name))
      t.equal(status.error, undefined)
      t.same(status.renditions, renditions)
      t.ok(Math.abs(status.durationUs - 5e6) < 150_000, `${status.durationUs}`)
      t.same(await violations(library, status.id), [])
      const starts: number[] = []
      for (const rendition of presentation?.renditions ?? []) {
        await writeFile(file('out.mp4'), await assemble(library, rendition))
        const probed = await probeClip(file('out.mp4'))
        starts.push(probed.startS)
        if (rendition.info.name === 'source') t.equal(probed.codec, copied)
        if (rendition.info.kind === 'video') t.equal(probed.frames, 125, rendition.info.name)
        t.equal(probed.errors, '')
      }
      t.ok(Math.max(...starts) - Math.min(...starts) < 0.03, `start together: ${starts}`)
      const board = presentation?.storyboard
      t.equal(board?.count, renditions.includes('72p') ? 3 : undefined)
      for (const digest of board?.sprites ?? []) {
        t.equal((await library.read(digest, { signal })).readUInt16BE(0), 0xffd8, 'a JPEG')
      }
      t.equal(presentation?.captions[0]?.language, captions ? 'de' : undefined)
      if (!captions) return
      const text = await library.read(presentation?.captions[0]?.digest ?? '', { signal })
      t.match(text.toString(), /00:00:01.000 --> 00:00:02.000\nHi .*you.* &amp;/)
    })
  }

  await t.test('turned pictures stand upright', async (t) => {
    await makeClip(file('plain.mp4'))
    const args = [
      '-v',
      'error',
      '-y',
      '-i',
      file('plain.mp4'),
      '-c',
      'copy',
      '-metadata:s:v',
      'rotate=90',
      file('turned.mp4'),
    ]
    await once(spawn('ffmpeg', args), 'exit')
    const { presentation } = await add(file('turned.mp4'))
    t.same(
      presentation?.renditions.map(({ info }) => info.name),
      ['72p', 'audio'],
    )
    t.ok((presentation?.storyboard?.height ?? 0) > 160, 'higher than wide')
  })

  await t.test('files that are broken end with a reason, or with what is whole', async (t) => {
    await makeClip(file('whole.mkv'))
    const whole = await readFile(file('whole.mkv'))
    await writeFile(file('cut.mkv'), whole.subarray(0, whole.byteLength * 0.6))
    const cut = await add(file('cut.mkv'))
    t.equal(cut.status.state, 'ready')
    t.ok(cut.status.durationUs < 4e6 && cut.status.durationUs > 1e6)
    await makeClip(file('no-index.mp4'))
    await truncate(file('no-index.mp4'), 20_000)
    await writeFile(file('junk.ts'), Buffer.alloc(50_000, 0xa7))
    // A playlist would make a careless reader open other files.
    await writeFile(
      file('evil.mp4'),
      `#EXTM3U\n#EXTINF:1,\nfile:${file('whole.mkv')}\n#EXT-X-ENDLIST\n`,
    )
    for (const name of ['no-index.mp4', 'junk.ts', 'evil.mp4']) {
      const { status } = await add(file(name))
      t.match(status, { state: 'failed', error: { code: 'ERR_MEDIA' } }, name)
      t.same(await readdir(join(folder, 'vod', status.id)), ['manifest'], 'nothing is left')
    }
  })
})

test('children that die, and work that is taken back', { skip }, async (t) => {
  const folder = t.testdir()
  const clip = await makeClip(join(folder, 'clip.mp4'), { seconds: 30 })
  const peer = await startVodPeer(join(folder, 'vod'), { storyboard: false })
  t.teardown(() => peer.stop())
  const { library, media } = peer

  /** Waits until a child encodes, and says which. */
  const encoding = async (): Promise<number> => {
    for (;;) {
      const child = media.stats().find(({ job, cpuS }) => job === 'chunk' && cpuS > 0)
      if (child?.pid !== undefined) return child.pid
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  await t.test('a killed child is replaced', async (t) => {
    const { id } = await library.addFile({ path: clip, title: '', mode: 'copy' })
    process.kill(await encoding(), 'SIGKILL')
    t.equal((await peer.settled(id)).state, 'ready')
    t.same(await violations(library, id), [])
    t.match(await peer.registry.metrics(), /kairo_vod_tasks_total\{outcome="retried"\} [1-9]/)
  })

  await t.test('removing a video ends its children and leaves nothing', async (t) => {
    const { id } = await library.addFile({ path: clip, title: '', mode: 'copy' })
    await encoding()
    await library.remove(id)
    const next = await library.addFile({ path: clip, title: '', mode: 'copy' })
    t.equal((await peer.settled(next.id)).state, 'ready', 'and the next one is made')
    t.notOk((await readdir(join(folder, 'vod'))).some((name) => name.startsWith(id)))
  })
})

test('a peer that is killed goes on where it was', { skip }, async (t) => {
  const folder = t.testdir()
  const directory = join(folder, 'vod')
  const clip = await makeClip(join(folder, 'clip.mp4'), { seconds: 60 })
  const program = join(import.meta.dirname, '../vod/making-process.ts')
  const child = spawn(process.execPath, [program, directory, clip], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('finished')) child.kill('SIGKILL')
  }
  await once(child, 'exit').catch(() => {})
  const peer = await startVodPeer(directory, { storyboard: false, ladder: smallLadder })
  t.teardown(() => peer.stop())
  const [{ id } = { id: '' }] = peer.library.statuses()
  t.equal((await peer.settled(id)).state, 'ready')
  t.match(await peer.registry.metrics(), /kairo_vod_tasks_total\{outcome="taken-over"\} [1-9]/)
  t.same(await violations(peer.library, id), [])
  const [, rung] = peer.library.get(id)?.renditions ?? []
  t.same(
    rung?.segments.map(({ msn }) => msn),
    Array.from({ length: 15 }, (_, index) => index),
  )
})

test('a full disk fails the video and nothing else', {
  skip: skip || needsSmallDisk(),
}, async (t) => {
  const folder = t.testdir()
  const clip = await makeClip(join(folder, 'clip.mp4'), { seconds: 20 })
  const disk = smallDisk(3 * 2 ** 20)
  const peer = await startVodPeer(join(disk.directory, 'vod'), { storyboard: false })
  t.teardown(async () => {
    await peer.stop()
    disk.remove()
  })
  await writeFile(join(disk.directory, 'ballast'), Buffer.alloc(1.2 * 2 ** 20))
  const { id } = await peer.library.addFile({ path: clip, title: '', mode: 'copy' })
  const status = await peer.settled(id)
  t.match(status, { state: 'failed', error: { code: 'ERR_STORAGE' } })
  t.equal(peer.library.get(id), undefined)
  await writeFile(join(disk.directory, 'ballast'), '')
  await peer.library.retry(id)
  t.equal((await peer.settled(id)).state, 'ready')
})
