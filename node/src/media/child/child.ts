/**
 * Entry of a media child: it loads FFmpeg, says that it is ready, gets one job over its pipe, does it and ends. The fork's
 * channel is only there to tell that the peer is gone, with which the child ends at once.
 */
import { enableCompileCache } from 'node:module'
import { Socket } from 'node:net'
import { isKairoError, KairoError } from '../../errors.ts'
import { mediaChildLimits } from '../../limits/media-child.ts'
import { closeInheritedFiles } from '../inherited-files.ts'
import { ChildPipe, leaveAtOnce } from './child-pipe.ts'
import type { RunJob } from './context.ts'
import type { MediaJob } from './job.ts'

/** The pipe's descriptor, as the pool lays it out. */
const PIPE_FD = 3

/** The modules of the jobs. Each is loaded when it is wanted: a probe needs no encoder's code. */
const jobs: Partial<Record<MediaJob['type'], () => Promise<{ run: RunJob<never> }>>> = {
  transcode: () => import('./jobs/transcode.ts'),
  thumbnail: () => import('./jobs/thumbnail.ts'),
  probe: () => import('./jobs/probe.ts'),
  pull: () => import('./jobs/pull.ts'),
  push: () => import('./jobs/push.ts'),
  chunk: () => import('./jobs/chunk.ts'),
  copy: () => import('./jobs/copy.ts'),
  storyboard: () => import('./jobs/storyboard.ts'),
  subtitles: () => import('./jobs/subtitles.ts'),
}

closeInheritedFiles()
process.on('disconnect', leaveAtOnce)
enableCompileCache()
const pipe = new ChildPipe(new Socket({ fd: PIPE_FD, readable: true, writable: true }))
main().catch((error: unknown) => {
  const known = isKairoError(error)
  pipe.end({
    type: 'failed',
    code: known ? error.code : 'ERR_WORKER',
    message: error instanceof Error ? error.message : String(error),
  })
})

async function main(): Promise<void> {
  // Not a static import: a machine without a build of FFmpeg gets an answer.
  const { silenceFfmpeg } = await import('./av/log.ts')
  silenceFfmpeg()
  pipe.send({ type: 'ready', rssBytes: process.memoryUsage.rss() })
  const job = await pipe.job()
  if (job === undefined) return process.exit(0)
  const run = await loadJob(job.type)
  const signs = setInterval(() => pipe.sendProgress(), mediaChildLimits.progressMs)
  pipe.sendProgress()
  const result = await run(pipe, job)
  clearInterval(signs)
  pipe.sendProgress()
  pipe.end({ type: 'done', result })
}

/** The module of a job. */
async function loadJob(type: string): Promise<RunJob<MediaJob>> {
  const load = Object.hasOwn(jobs, type) ? jobs[type as MediaJob['type']] : undefined
  if (load === undefined) {
    throw new KairoError('ERR_INVALID_INPUT', `a media child knows no job of type ${type}`)
  }
  const { run } = await load()
  return run as RunJob<MediaJob>
}
