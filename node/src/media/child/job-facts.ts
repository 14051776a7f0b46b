/** What the pool must know of a job before it runs: how long it may be silent, how much it may take, what to call it. */
import { basename } from 'node:path'
import { mediaChildLimits as limits } from '../../limits/media-child.ts'
import { hostOf } from '../../urls.ts'
import type { MediaJob } from './job.ts'

/** Facts about one job. */
export interface JobFacts {
  /** Name for people, without secrets. */
  readonly label: string
  /** Viewers wait for its output. */
  readonly live: boolean
  /** It takes nothing from the peer and nothing from the network: when it stands still, it is stuck. */
  readonly ownPace: boolean
  /** Silence before its first output, and after it. */
  readonly silenceMsMax: { readonly first: number; readonly later: number }
  readonly rssBytesMax: number
}

/** The facts about a job. */
export function jobFacts(job: MediaJob): JobFacts {
  const encodes = job.type === 'transcode' || job.type === 'chunk'
  const live = isLive(job)
  return {
    label: labelOf(job),
    live,
    ownPace: 'path' in job,
    silenceMsMax: silenceOf(job),
    rssBytesMax: encodes ? limits.encoderRssBytesMax : limits.rssBytesMax,
  }
}

function isLive(job: MediaJob): boolean {
  return job.type === 'transcode' || job.type === 'pull' || job.type === 'push'
}

/** Remote jobs may spend their whole time-out in one call of FFmpeg, during which the child says nothing. */
function silenceOf(job: MediaJob): JobFacts['silenceMsMax'] {
  if (job.type === 'pull') {
    const own = Math.max(job.openTimeoutMs, job.readTimeoutMs) + limits.remoteGraceMs
    return { first: own, later: own }
  }
  if (job.type === 'push') {
    const own = Math.max(job.openTimeoutMs, job.writeTimeoutMs) + limits.remoteGraceMs
    return { first: own, later: own }
  }
  const later = isLive(job) ? limits.liveSilenceMsMax : limits.silenceMsMax
  return { first: limits.silenceMsMax, later }
}

function labelOf(job: MediaJob): string {
  if (job.type === 'transcode') {
    return [...job.video, ...job.audio].map((rung) => rung.name).join(' ')
  }
  if (job.type === 'thumbnail') return `${job.width}x${job.height}`
  if ('path' in job) return basename(job.path)
  return hostOf(job.url)
}
