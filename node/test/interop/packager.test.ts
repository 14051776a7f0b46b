/**
 * The packager against FFmpeg: clips encoded by ffmpeg, packaged, then read back by ffprobe and ffmpeg, which must find
 * the same pictures at the same times; and a still shown by Chromium.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { t as root, type Test, test } from 'tap'
import { stillFrom } from '../../src/media/still.ts'
import { type FlvItem, readFlv } from '../support/flv-reader.ts'
import { PackagingRun } from '../support/packaging-run.ts'

// Encoders and a browser start slowly where many tests run at once.
root.setTimeout(120_000)

interface Clip {
  readonly file: string
  readonly items: readonly FlvItem[]
}

function makeClip(t: Test, name: string, rate: string, encoder: readonly string[]): Clip {
  const folder = mkdtempSync(join(tmpdir(), 'kairo-packager-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, `${name}.flv`)
  ffmpeg(
    ...['-f', 'lavfi', '-i', `testsrc2=size=320x180:rate=${rate}:duration=4`],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000:duration=4'],
    ...['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-preset', 'ultrafast', ...encoder],
    ...['-c:a', 'aac', '-ac', '2', '-f', 'flv', file],
  )
  return { file, items: readFlv(readFileSync(file), { width: 320, height: 180 }) }
}

function ffmpeg(...args: readonly string[]): string {
  return execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 << 20,
  })
}

/** Hashes of every decoded picture or block of sound, without their times. */
function decodedHashes(file: string, stream: string): readonly string[] {
  return ffmpeg(
    '-i',
    file,
    '-map',
    `0:${stream}`,
    '-fps_mode',
    'passthrough',
    '-f',
    'framemd5',
    '-',
  )
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(',').at(-1)?.trim() ?? '')
}

function packetTimes(file: string, stream: string): readonly number[] {
  const text = execFileSync(
    'ffprobe',
    [
      ...['-v', 'error', '-select_streams', stream, '-show_entries', 'packet=pts_time'],
      ...['-of', 'csv=p=0', file],
    ],
    { encoding: 'utf8' },
  )
  return text
    .trim()
    .split('\n')
    .map((line) => Number.parseFloat(line))
}

function probeErrors(file: string): string {
  const command = `ffprobe -v error -show_streams -show_packets "${file}" 2>&1 >/dev/null`
  return execFileSync('sh', ['-c', command], { encoding: 'utf8' })
}

const encodings: readonly (readonly [string, string, readonly string[]])[] = [
  ['b-frames', '30', ['-g', '60', '-bf', '3', '-x264-params', 'b-adapt=0']],
  [
    'b-pyramid',
    '25',
    ['-g', '50', '-preset', 'veryfast', '-bf', '3', '-x264-params', 'b-pyramid=normal'],
  ],
  ['zero-latency', '30000/1001', ['-g', '60', '-tune', 'zerolatency']],
  ['short-groups', '24', ['-g', '12', '-bf', '2']],
  ['long-group', '60', ['-g', '600', '-bf', '2', '-sc_threshold', '0']],
]

for (const [name, rate, encoder] of encodings) {
  test(`ffmpeg reads ${name} at ${rate} fps as it was encoded`, async (t) => {
    const clip = makeClip(t, name, rate, encoder)
    const run = new PackagingRun().feed(clip.items).end()
    t.strictSame(run.check(), [])

    const source = `${clip.file}.source.mp4`
    const audio = `${clip.file}.audio.mp4`
    writeFileSync(source, run.file('source'))
    writeFileSync(audio, run.file('audio'))
    t.equal(probeErrors(source), '')
    t.equal(probeErrors(audio), '')
    t.strictSame(decodedHashes(source, 'v'), decodedHashes(clip.file, 'v'))

    const units = clip.items.flatMap(({ unit }) => (unit?.kind === 'video' ? [unit] : []))
    const origin = units[0]?.dts ?? 0
    const times = packetTimes(source, 'v')
    t.equal(times.length, units.length)
    const off = times.map((time, index) => time - ((units[index]?.pts ?? 0) - origin) / 90_000)
    t.ok(
      off.every((seconds) => Math.abs(seconds) < 1e-5),
      'presentation times are the source’s',
    )

    const audioTimes = packetTimes(audio, 'a')
    const steps = audioTimes.slice(1).map((time, index) => time - (audioTimes[index] ?? 0))
    t.ok(
      steps.every((step) => Math.abs(step - 1_024 / 48_000) < 2e-5),
      'audio has no gap',
    )
    t.ok(Math.abs((audioTimes[0] ?? 0) - (times[0] ?? 0)) < 0.03, 'both start together')
  })
}

test('every independent part decodes on its own', async (t) => {
  const clip = makeClip(t, 'parts', '30', ['-g', '30', '-bf', '2'])
  const run = new PackagingRun().feed(clip.items).end()
  for (const part of run.of('source').filter(({ independent }) => independent)) {
    const file = `${clip.file}.${part.msn}.${part.part}.mp4`
    writeFileSync(file, Buffer.concat([part.init, part.data]))
    t.equal(decodedHashes(file, 'v').length, part.sampleCount)
  }
})

test('a still shows its picture in ffmpeg and in Chromium', async (t) => {
  const clip = makeClip(t, 'still', '30', ['-g', '60', '-bf', '2'])
  const run = new PackagingRun().feed(clip.items).end()
  const independent = run.of('source').find((part) => part.independent && part.msn === 1)
  const dependent = run.of('source').find((part) => !part.independent)
  if (independent === undefined || dependent === undefined) throw new Error('no such parts')
  const still = stillFrom(independent.init, independent.data)
  const file = `${clip.file}.still.mp4`
  writeFileSync(file, still)
  t.equal(probeErrors(file), '')
  t.equal(decodedHashes(file, 'v').length, 1)
  t.throws(() => stillFrom(dependent.init, dependent.data), { code: 'ERR_INVALID_INPUT' })

  const server = createServer((request, response) => {
    if (request.url === '/still.mp4') {
      response.setHeader('content-type', 'video/mp4').end(still)
    } else {
      response.setHeader('content-type', 'text/html').end('<video muted src="still.mp4"></video>')
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox'],
  })
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const colours = await page.evaluate(`(async () => {
    const video = document.querySelector('video')
    while (video.readyState < 2) await new Promise((resolve) => video.addEventListener('loadeddata', resolve, { once: true }))
    const canvas = document.createElement('canvas')
    canvas.width = video.videoWidth
    canvas.height = video.videoHeight
    const context = canvas.getContext('2d')
    context.drawImage(video, 0, 0)
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height)
    const seen = new Set()
    for (let at = 0; at < data.length; at += 400) seen.add(data[at] + ',' + data[at + 1] + ',' + data[at + 2])
    return { width: canvas.width, colours: seen.size }
  })()`)
  t.match(colours, { width: 320 })
  t.ok((colours as { colours: number }).colours > 10, 'a picture, not one colour')
})
