/**
 * Rendered playlists. A media playlist is rendered once per version of its index and of the reports in it, whatever the number
 * of viewers; only the newest version is kept.
 */

import { digestOf } from '../content/digest.ts'
import type { LiveRendition, LiveStream, StreamRecord } from '../content/stream.ts'
import type { PreparedResponse } from '../http/prepared-response.ts'
import { ArchivedLines } from './archived-lines.ts'
import type { HlsMetrics } from './hls-metrics.ts'
import { type ArchivedRange, archivedBefore, type LiveArchive } from './live-archive.ts'
import { renderMasterPlaylist } from './master-playlist.ts'
import { type RenditionReport, renderMediaPlaylistText } from './media-playlist.ts'
import { PLAYLIST_TYPE, playlistResponses, textResponse } from './responses.ts'

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
  readonly #archive: LiveArchive | undefined
  readonly #archived = new WeakMap<LiveRendition, ArchivedLines>()
  readonly #media = new WeakMap<LiveRendition, Rendered>()
  readonly #master = new WeakMap<StreamRecord, PreparedResponse>()

  constructor(components: { readonly metrics: HlsMetrics; readonly archive?: LiveArchive }) {
    this.#metrics = components.metrics
    this.#archive = components.archive
  }

  /** The multivariant playlist of a record. */
  master(record: StreamRecord): PreparedResponse {
    let response = this.#master.get(record)
    if (response === undefined) {
      response = textResponse(PLAYLIST_TYPE, renderMasterPlaylist(record.renditions))
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
    const archived = archivedBefore(this.#archive, stream, rendition)
    const key = [
      ...[rendition, ...others].map((each) => `${each.info.name}:${each.version}`),
      `${archived.segments[archived.from]?.msn}:${archived.to - archived.from}`,
    ].join()
    let rendered = this.#media.get(rendition)
    if (rendered?.key !== key) {
      rendered = { key, full: undefined, delta: undefined }
      this.#media.set(rendition, rendered)
    }
    const which = options.skip ? 'delta' : 'full'
    let responses = rendered[which]
    if (responses === undefined) {
      responses = this.#render(rendition, archived, { skip: options.skip, others })
      rendered[which] = responses
      this.#metrics.rendered()
    }
    return options.blocking ? responses.blocking : responses.plain
  }

  #render(
    rendition: LiveRendition,
    range: ArchivedRange,
    options: { readonly skip: boolean; readonly others: readonly LiveRendition[] },
  ): PlaylistResponses {
    const format = rendition.info.kind === 'captions' ? 'captions' : 'cmaf'
    const known = this.#archived.get(rendition) ?? new ArchivedLines(format)
    if (range.to > range.from) this.#archived.set(rendition, known)
    const lines = known.render(range)
    const { head, archived, rest } = renderMediaPlaylistText(rendition, {
      skip: options.skip,
      reports: reportsOf(options.others),
      format,
      ...(range.to > range.from && { archived: { ...range, lines } }),
    })
    const pieces = [Buffer.from(head), ...archived, Buffer.from(rest)]
    // What is archived has its digests already; hashing hours of it again for each new part would be felt.
    const tag = digestOf(Buffer.from(`${head}${archived.length > 0 ? lines.tag : ''}${rest}`))
    return playlistResponses(pieces, tag, rendition.head.targetDurationS)
  }
}

/** Reports of the renditions that have parts, by name. */
function reportsOf(renditions: readonly LiveRendition[]): RenditionReport[] {
  const reports: RenditionReport[] = []
  for (const { info, entries } of renditions) {
    const last = entries.at(-1)
    // Captions have no parts to report on.
    if (last === undefined || info.kind === 'captions') continue
    reports.push({ rendition: info.name, lastMsn: last.msn, lastPart: last.part })
  }
  return reports.sort((a, b) => (a.rendition < b.rendition ? -1 : 1))
}
