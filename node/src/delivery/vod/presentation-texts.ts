/** The playlists and manifests of presentations, rendered once for each state of theirs. */
import type { ArchivedRendition, Presentation } from '../../content/archive/presentation.ts'
import { digestOf } from '../../content/digest.ts'
import type { PreparedResponse } from '../../http/prepared-response.ts'
import { vodDeliveryLimits } from '../../limits/delivery-vod.ts'
import type { ArchivedLines } from '../archived-lines.ts'
import { MANIFEST_TYPE } from '../dash/live-manifests.ts'
import { renderStaticManifest } from '../dash/static-manifest.ts'
import { PLAYLIST_TYPE, playlistResponses, textResponse } from '../responses.ts'
import {
  captionPlaylist,
  imagePlaylist,
  linesFor,
  playableRenditions,
  vodMaster,
  vodMedia,
} from './vod-playlists.ts'

/** Keeps the texts of the presentations that are watched. */
export class PresentationTexts {
  readonly #kept = new Map<string, PresentationText>()

  /** The texts of a presentation as it is now. */
  of(presentation: Presentation): PresentationText {
    const known = this.#kept.get(presentation.id)
    const text =
      known?.isOf(presentation) === true ? known : new PresentationText(presentation, known)
    this.#kept.delete(presentation.id)
    this.#kept.set(presentation.id, text)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= vodDeliveryLimits.presentationsMax) break
      this.#kept.delete(oldest)
    }
    return text
  }
}

/** The texts of one state of one presentation. */
class PresentationText {
  readonly #presentation: Presentation
  readonly #key: string
  readonly #answers = new Map<string, PreparedResponse | undefined>()
  /** By rendition; goes on from state to state, so that a long recording does not render all of itself with each segment. */
  readonly #lines: Map<string, ArchivedLines>

  constructor(presentation: Presentation, before: PresentationText | undefined) {
    this.#presentation = presentation
    this.#key = keyOf(presentation)
    this.#lines = before === undefined ? new Map() : before.#lines
  }

  isOf(presentation: Presentation): boolean {
    return keyOf(presentation) === this.#key
  }

  /** Undefined while there is nothing to play. */
  master(): PreparedResponse | undefined {
    return this.#once('master', () => {
      if (playableRenditions(this.#presentation).length === 0) return undefined
      return textResponse(PLAYLIST_TYPE, vodMaster(this.#presentation))
    })
  }

  /** Undefined while there is nothing to play. */
  manifest(): PreparedResponse | undefined {
    return this.#once('manifest', () => {
      const text = renderStaticManifest(this.#presentation)
      return text === undefined ? undefined : textResponse(MANIFEST_TYPE, text)
    })
  }

  /** Undefined where there is no storyboard. */
  images(): PreparedResponse | undefined {
    return this.#once('images', () => {
      const { storyboard } = this.#presentation
      if (storyboard === undefined) return undefined
      return textResponse(PLAYLIST_TYPE, imagePlaylist(this.#presentation, storyboard))
    })
  }

  /** The media playlist of a rendition or a caption file; undefined where there is none of the name. */
  playlist(name: string): PreparedResponse | undefined {
    return this.#once(`playlist ${name}`, () => {
      const { renditions, captions } = this.#presentation
      const rendition = renditions.find(({ info }) => info.name === name)
      if (rendition !== undefined) return this.#media(rendition)
      if (!captions.some((file) => file.name === name)) return undefined
      return textResponse(PLAYLIST_TYPE, captionPlaylist(this.#presentation))
    })
  }

  #media(rendition: ArchivedRendition): PreparedResponse {
    const { name } = rendition.info
    const lines = this.#lines.get(name) ?? linesFor(rendition)
    this.#lines.set(name, lines)
    const { pieces, tag } = vodMedia(this.#presentation, rendition, lines)
    return playlistResponses(pieces, digestOf(Buffer.from(tag)), 0).plain
  }

  /** Names that are not there are not remembered: anyone can make them up. */
  #once(name: string, render: () => PreparedResponse | undefined): PreparedResponse | undefined {
    const known = this.#answers.get(name)
    if (known !== undefined) return known
    const answer = render()
    if (answer !== undefined) this.#answers.set(name, answer)
    return answer
  }
}

function keyOf({
  complete,
  durationUs,
  title,
  renditions,
  captions,
  storyboard,
}: Presentation): string {
  return [
    complete,
    durationUs,
    title,
    ...renditions.map(({ info, segments, targetDurationS }) =>
      [info.name, info.bandwidthBps, segments[0]?.msn, segments.length, targetDurationS].join(':'),
    ),
    ...captions.map(
      ({ name, language, label, digest }) => `${name}:${language}:${label}:${digest}`,
    ),
    storyboard?.count,
  ].join(' ')
}
