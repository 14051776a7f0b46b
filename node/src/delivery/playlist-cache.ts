/**
 * Rendered playlists. A media playlist is rendered once per version of its index and of the reports in it, whatever the number
 * of viewers; only the newest version is kept.
 */
import type { LiveRendition, LiveStream, StreamRecord } from '../content/stream.ts'
import type { PreparedResponse } from '../http/prepared-response.ts'
import type { HlsMetrics } from './hls-metrics.ts'
import { renderMasterPlaylist } from './master-playlist.ts'
import { type RenditionReport, renderMediaPlaylist } from './media-playlist.ts'
import { playlistResponses } from './responses.ts'

type PlaylistResponses = ReturnType<typeof playlistResponses>

interface Rendered {
  /** Versions of the rendition and of those it reports on. */
  readonly key: string
  full: PlaylistResponses | undefined
  delta: PlaylistResponses | undefined
}

/** The playlists of one handler; a rendition that is forgotten takes its playlists with it. */
export class PlaylistCache {
  readonly #metrics: HlsMetrics
  readonly #media = new WeakMap<LiveRendition, Rendered>()
  readonly #master = new WeakMap<StreamRecord, PreparedResponse>()

  constructor(metrics: HlsMetrics) {
    this.#metrics = metrics
  }

  /** The multivariant playlist of a record. */
  master(record: StreamRecord): PreparedResponse {
    let response = this.#master.get(record)
    if (response === undefined) {
      response = playlistResponses(renderMasterPlaylist(record.renditions), 0).plain
      this.#master.set(record, response)
    }
    return response
  }

  /** The rendition's media playlist as it is now. */
  media(
    stream: LiveStream,
    rendition: LiveRendition,
    options: { readonly skip: boolean; readonly blocking: boolean },
  ): PreparedResponse {
    const others = stream.followed().filter((other) => other !== rendition)
    const key = [rendition, ...others].map((each) => `${each.info.name}:${each.version}`).join()
    let rendered = this.#media.get(rendition)
    if (rendered?.key !== key) {
      rendered = { key, full: undefined, delta: undefined }
      this.#media.set(rendition, rendered)
    }
    const which = options.skip ? 'delta' : 'full'
    let responses = rendered[which]
    if (responses === undefined) {
      const text = renderMediaPlaylist(rendition, {
        skip: options.skip,
        reports: reportsOf(others),
      })
      responses = playlistResponses(text, rendition.head.targetDurationS)
      rendered[which] = responses
      this.#metrics.rendered()
    }
    return options.blocking ? responses.blocking : responses.plain
  }
}

/** Reports of the renditions that have parts, by name. */
function reportsOf(renditions: readonly LiveRendition[]): RenditionReport[] {
  const reports: RenditionReport[] = []
  for (const { info, entries } of renditions) {
    const last = entries.at(-1)
    if (last === undefined) continue
    reports.push({ rendition: info.name, lastMsn: last.msn, lastPart: last.part })
  }
  return reports.sort((a, b) => (a.rendition < b.rendition ? -1 : 1))
}
