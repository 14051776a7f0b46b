/** Loads a storyboard when it is first asked for, and keeps that of a live stream fresh while somebody looks at it. */

import {
  parseStoryboard,
  pictureAt,
  type Storyboard,
  type StoryboardPicture,
} from './storyboard.ts'
import type { Timeline } from './timeline.ts'

/** A live storyboard is asked for again at most this often. */
const refreshMs = 10_000
/** One that is not there is asked for again at most this often. */
const absentMs = 30_000
const requestTimeoutMs = 8_000

/** The pictures of one stream or video. */
export class Thumbnails {
  readonly #url: string
  readonly #live: boolean
  readonly #onChange: () => void
  #storyboard: Storyboard | undefined
  #askAgainAtMs = 0
  #asking = false
  #stopped = false

  /** `onChange` is called when pictures have come. */
  constructor(url: string, live: boolean, onChange: () => void) {
    this.#url = url
    this.#live = live
    this.#onChange = onChange
  }

  /** The picture of a time of the video element; undefined until it is there. */
  at(timeS: number, timeline: Timeline): StoryboardPicture | undefined {
    this.#refresh()
    const { pictures, zeroMs } = this.#storyboard ?? { pictures: [], zeroMs: undefined }
    if (zeroMs === undefined) return pictureAt(pictures, timeS)
    if (timeline.endDateMs === undefined) return undefined
    const dateMs = timeline.endDateMs - (timeline.endS - timeS) * 1_000
    return pictureAt(pictures, (dateMs - zeroMs) / 1_000)
  }

  /** Asks for nothing any more. */
  stop(): void {
    this.#stopped = true
  }

  #refresh(): void {
    const nowMs = performance.now()
    if (this.#asking || this.#stopped || nowMs < this.#askAgainAtMs) return
    this.#asking = true
    void this.#load().then((storyboard) => {
      this.#asking = false
      const waitMs = storyboard === undefined ? absentMs : refreshMs
      this.#askAgainAtMs =
        storyboard !== undefined && !this.#live
          ? Number.POSITIVE_INFINITY
          : performance.now() + waitMs
      if (storyboard === undefined || this.#stopped) return
      this.#storyboard = storyboard
      this.#onChange()
    })
  }

  async #load(): Promise<Storyboard | undefined> {
    try {
      const response = await fetch(this.#url, { signal: AbortSignal.timeout(requestTimeoutMs) })
      if (!response.ok) return undefined
      return parseStoryboard(await response.text(), response.url)
    } catch {
      // Scrubbing works without pictures.
      return undefined
    }
  }
}

/** Makes `element` show one picture, `widthPx` wide. */
export function showPicture(
  element: HTMLElement,
  picture: StoryboardPicture | undefined,
  widthPx: number,
): void {
  element.hidden = picture === undefined
  if (picture === undefined) return
  const { style } = element
  const { piece, url } = picture
  style.setProperty('background-image', `url("${url}")`)
  style.setProperty('width', `${piece?.width ?? widthPx}px`)
  style.setProperty('height', `${piece?.height ?? (widthPx * 9) / 16}px`)
  style.setProperty('background-size', piece === undefined ? 'contain' : 'auto')
  style.setProperty(
    'background-position',
    piece === undefined ? 'center' : `${-piece.x}px ${-piece.y}px`,
  )
  style.setProperty('zoom', piece === undefined ? '1' : String(widthPx / piece.width))
}
