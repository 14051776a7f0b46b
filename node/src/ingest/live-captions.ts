/**
 * Captions of live streams that come from outside of the media: a captioner or a program sends WebVTT, and each language
 * becomes a rendition of the stream. Languages once sent stay over a publisher's return.
 */
import { Counter, type Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { parseWebVtt } from '../media/captions/webvtt.ts'
import type { CaptionTrack, PublishedSession, SessionObserver } from '../media/published-session.ts'

/** What live captions work with. */
export interface LiveCaptionsComponents {
  readonly clock: Clock
  readonly registry: Registry
}

/** Captions as they came. */
export interface SentCaptions {
  /** A whole WebVTT file. */
  readonly file: Uint8Array
  /** BCP 47. */
  readonly language: string
  /** Name for people; empty takes the language. */
  readonly label: string
  /** Unix milliseconds from which cue times count; undefined: from now. */
  readonly fromMs: number | undefined
}

/** Takes captions for the streams that have a publisher. */
export class LiveCaptions implements SessionObserver {
  readonly #clock: Clock
  readonly #cues: Counter
  readonly #sessions = new Map<string, PublishedSession>()
  readonly #tracks = new Map<string, Map<string, CaptionTrack>>()

  constructor(components: LiveCaptionsComponents) {
    this.#clock = components.clock
    this.#cues = new Counter({
      name: 'kairo_captions_cues_total',
      help: 'Cues taken for live streams',
      registers: [components.registry],
    })
  }

  sessionStarted(session: PublishedSession): void {
    const { streamName } = session
    this.#sessions.set(streamName, session)
    // Tracks belong to the session before; the next captions of a language open it anew.
    this.#tracks.set(streamName, new Map())
    session.listen({
      ended: () => {
        if (this.#sessions.get(streamName) !== session) return
        this.#sessions.delete(streamName)
        this.#tracks.delete(streamName)
      },
    })
  }

  /**
   * Adds the cues of a file, all or none.
   * @returns their number.
   * @throws KairoError `ERR_NOT_FOUND` when the stream has no publisher, `ERR_INVALID_INPUT` for what is no WebVTT, `ERR_LIMIT`.
   */
  add(streamName: string, sent: SentCaptions): number {
    const session = this.#sessions.get(streamName)
    if (session === undefined) {
      throw new KairoError('ERR_NOT_FOUND', `${streamName} has no publisher now`)
    }
    const cues = parseWebVtt(sent.file)
    const fromMs = sent.fromMs ?? this.#clock.now()
    this.#track(session, sent).addCues(
      cues.map((cue) => ({ ...cue, startMs: cue.startMs + fromMs, endMs: cue.endMs + fromMs })),
      'wall',
    )
    this.#cues.inc(cues.length)
    return cues.length
  }

  #track(session: PublishedSession, { language, label }: SentCaptions): CaptionTrack {
    const tracks = this.#tracks.get(session.streamName) ?? new Map<string, CaptionTrack>()
    const known = tracks.get(language)
    if (known !== undefined) return known
    const track = session.captions(language, label === '' ? language : label)
    tracks.set(language, track)
    return track
  }
}
