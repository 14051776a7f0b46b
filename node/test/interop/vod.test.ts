/** Files of every container, made by ffmpeg, become videos in real media children; ffprobe and the segment checker look at what came out. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { h264Args, makeClip, probeClip } from '../support/make-clip.ts'
import { needs } from '../support/needs.ts'
import { assemble, violations } from '../support/vod-checks.ts'
import { startVodPeer } from '../support/vod-peer.ts'

const skip = needs('ffmpeg', 'ffprobe')
const { signal } = new AbortController()

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
