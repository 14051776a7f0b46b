/**
 * Entry of the test stream's child process. It lives apart from the peer because FFmpeg's code can crash or block its
 * process; it ends when told to, when the peer's channel closes, or on the first error, which it reports.
 */

import assert from 'node:assert/strict'
import { enableCompileCache } from 'node:module'
import { systemClock } from '../../clock.ts'
import { testStreamLimits } from '../../limits.ts'
import { closeInheritedFiles } from '../../media/inherited-files.ts'
import { Generator } from './generator.ts'
import type { FromChild, TestStreamFormat, ToChild } from './messages.ts'
import { TestPicture } from './picture.ts'
import { audioSampleRate, SecondBell } from './tone.ts'

/** A clock whose timers keep the process alive: the loop is all this process does. */
const clock = {
  ...systemClock,
  after: (delayMs: number, callback: () => void) => {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

let close: (() => void) | undefined

closeInheritedFiles()
process.on('disconnect', () => process.exit(0))
process.on('message', (message: ToChild) => {
  if (message.type === 'stop') {
    close?.()
    process.exit(0)
  }
  run(message.rtmpUrl, message.format).catch((error: unknown) => fail(error, false))
})

// FFmpeg's binding is most of the start-up time. It is loaded at once, before the order to start comes, from compiled code that an
// earlier run has left, and not by a static import: a machine that has no build of it gets an answer.
enableCompileCache()
const loading = import('./encoder.ts')
loading.catch((error: unknown) => fail(error, true))

async function run(rtmpUrl: string, format: TestStreamFormat): Promise<void> {
  const { openVideoEncoder, openAudioEncoder } = await loading
  const { RtmpOutput } = await import('./output.ts')
  const video = openVideoEncoder(format)
  const audio = openAudioEncoder(format)
  const picture = new TestPicture({ ...format, planes: video.planes })
  const bell = new SecondBell(audioSampleRate)
  const output = new RtmpOutput(rtmpUrl, video, audio)
  const generator = new Generator(
    { clock, picture, bell, video, audio, output },
    { frameRate: format.frameRate },
  )
  close = () => {
    generator.stop()
    output.close()
  }
  generator.start((error) => fail(error, false))
  send({ type: 'publishing', sinceForkMs: Math.round(performance.now()) })
  setInterval(() => {
    const usage = process.cpuUsage()
    const cpuS = (usage.user + usage.system) / 1e6
    send({ type: 'progress', ...generator.progress, cpuS })
  }, testStreamLimits.progressMs)
}

function fail(error: unknown, unavailable: boolean): void {
  const reason = error instanceof Error ? error.message : String(error)
  send({ type: 'failed', reason, unavailable }, () => process.exit(1))
}

function send(message: FromChild, sent: () => void = () => {}): void {
  assert(process.send !== undefined, 'this file runs as a forked child only')
  // A closed channel means that the peer is gone; `disconnect` ends this process.
  process.send(message, undefined, undefined, () => sent())
}
