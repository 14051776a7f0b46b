/** The words that lie over the picture when it does not play. */

import type { Stream, Video } from '../shared/api.ts'
import type { Renditions } from '../shared/format.ts'
import type { SessionState } from './hls-session.ts'
import type { StageMessage } from './stage.ts'

/** What playback and the network say. */
interface PlayState {
  readonly state: SessionState
  readonly reason: string | undefined
  /** Whether the list of streams or videos has arrived at least once. */
  readonly known: boolean
  /** Whether this peer answers at present. */
  readonly reachable: boolean
}

/** What there is to say of a live stream. */
export interface LiveState extends PlayState {
  readonly stream: Stream | undefined
}

/** What there is to say of a video. */
export interface VideoState extends PlayState {
  readonly video: Video | undefined
}

/** True for a stream or video that says what it has, and has no picture. */
export function isSoundOnly(stream: Renditions | undefined): boolean {
  const kinds = new Set(stream?.renditions.map(({ kind }) => kind))
  return kinds.has('audio') && !kinds.has('video')
}

/** The words over the picture of a live stream; `undefined` while all is well. */
export function liveMessage(data: LiveState): StageMessage | undefined {
  const { state, stream } = data
  if (state === 'failed')
    return { title: 'Cannot play here', detail: data.reason ?? '', busy: false }
  const plays = state === 'playing'
  if (!data.reachable && !plays) {
    return {
      title: 'No answer from this peer',
      detail: 'It may be restarting. This page keeps trying.',
      busy: true,
    }
  }
  if (data.known && stream === undefined && !plays) {
    return {
      title: 'This stream is not live',
      detail: 'It starts here by itself when somebody publishes it.',
      busy: true,
    }
  }
  if (stream?.state === 'ended' && !plays) {
    return {
      title: 'The stream has ended',
      detail: 'It goes on here by itself when it comes back.',
      busy: false,
    }
  }
  if (stream?.status === 'connecting' && !plays && state !== 'connecting') {
    return {
      title: 'The source peer does not answer',
      detail: 'Trying it again, and others that have the stream.',
      busy: true,
    }
  }
  if (stream?.status === 'lost' && !plays) {
    return {
      title: 'The source peer is gone',
      detail: 'Looking for another peer that has the stream.',
      busy: true,
    }
  }
  if (state === 'retrying') {
    return { title: 'Reconnecting', detail: data.reason ?? '', busy: true }
  }
  return undefined
}

/** The words over the picture of a video; `undefined` while all is well. */
export function videoMessage(data: VideoState): StageMessage | undefined {
  const { state, video } = data
  if (state === 'failed') {
    return { title: 'Cannot play here', detail: data.reason ?? '', busy: false }
  }
  if (state === 'playing') return undefined
  if (!data.reachable) {
    return {
      title: 'No answer from this peer',
      detail: 'It may be restarting. This page keeps trying.',
      busy: true,
    }
  }
  if (data.known && video === undefined) {
    return {
      title: 'There is no such video here',
      detail: 'It may have been deleted.',
      busy: false,
    }
  }
  if (video?.state === 'failed') {
    const detail = video.error?.message ?? 'It could not be read.'
    return { title: 'This video could not be made', detail, busy: false }
  }
  if (video !== undefined && video.state !== 'ready') {
    const share = Math.floor(video.progress * 100)
    const detail = `${share} % done. It plays here by itself when it is ready.`
    return { title: 'This video is being made', detail, busy: true }
  }
  if (state === 'retrying') {
    return { title: 'Reconnecting', detail: data.reason ?? '', busy: true }
  }
  return undefined
}
