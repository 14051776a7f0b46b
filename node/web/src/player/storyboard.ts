/**
 * Pictures for scrubbing: reads a storyboard (WebVTT). A cue names a piece of a sprite (W3C Media Fragments 4.2.2) or a picture of
 * its own; in live streams its identifier is the time of day at which it begins.
 */

/** One picture. */
export interface StoryboardPicture {
  readonly startS: number
  /** Address of the picture or of the sprite that it is a piece of. */
  readonly url: string
  /** The piece, in pixels; undefined for the whole. */
  readonly piece: PicturePiece | undefined
}

/** A part of a sprite, in pixels. */
export interface PicturePiece {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** The pictures in order. */
export interface Storyboard {
  readonly pictures: readonly StoryboardPicture[]
  /** Wall time of the cue time zero, in milliseconds; undefined where cue times are the video's own. */
  readonly zeroMs: number | undefined
}

const cueLine = /^(\S+)\s+-->\s+\S+/
const fragment = /#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)$/
const dateLine = /^\d{4}-\d\d-\d\dT/

/** Reads the text of the track at `url`. Cues that name a picture of another server are left out. */
export function parseStoryboard(text: string, url: string): Storyboard {
  const pictures: StoryboardPicture[] = []
  const lines = text.split(/\r\n|\r|\n/)
  let zeroMs: number | undefined
  for (const [index, line] of lines.entries()) {
    const time = cueLine.exec(line)?.[1]
    const payload = lines[index + 1]?.trim() ?? ''
    if (time === undefined || payload === '') continue
    const startS = seconds(time)
    const date = lines[index - 1] ?? ''
    if (zeroMs === undefined && dateLine.test(date)) zeroMs = Date.parse(date) - startS * 1_000
    const picture = new URL(payload.replace(fragment, ''), url)
    if (picture.origin !== new URL(url).origin || Number.isNaN(startS)) continue
    pictures.push({ startS, url: picture.href, piece: pieceOf(payload) })
  }
  pictures.sort((a, b) => a.startS - b.startS)
  return { pictures, zeroMs }
}

function pieceOf(payload: string): PicturePiece | undefined {
  const numbers = fragment.exec(payload)?.slice(1).map(Number)
  if (numbers === undefined) return undefined
  const [x = 0, y = 0, width = 0, height = 0] = numbers
  return width > 0 && height > 0 ? { x, y, width, height } : undefined
}

/** The picture of a time; before the first and after the last the nearest one. */
export function pictureAt(
  pictures: readonly StoryboardPicture[],
  timeS: number,
): StoryboardPicture | undefined {
  let low = 0
  let high = pictures.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((pictures[middle] as StoryboardPicture).startS <= timeS) low = middle + 1
    else high = middle
  }
  return pictures[Math.max(0, low - 1)]
}

function seconds(time: string): number {
  return time.split(':').reduce((sum, field) => sum * 60 + Number(field), 0)
}
