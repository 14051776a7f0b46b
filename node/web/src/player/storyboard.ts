/** Pictures for scrubbing: reads a storyboard (WebVTT whose cues name pieces of sprites, W3C Media Fragments 4.2.2). */

/** One picture. */
export interface StoryboardPicture {
  readonly startS: number
  readonly endS: number
  /** Address of the sprite, and the piece of it in pixels. */
  readonly url: string
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

const cueLine = /^(\S+)\s+-->\s+(\S+)/
const fragment = /#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)$/
const zeroLine = /^(?:NOTE )?(?:X-)?KAIRO-ZERO[=:]\s*(\S+)$/

/** Reads the text of the track at `url`. Cues that name no piece of a picture of the same server are left out. */
export function parseStoryboard(text: string, url: string): Storyboard {
  const pictures: StoryboardPicture[] = []
  const lines = text.split(/\r\n|\r|\n/)
  let zeroMs: number | undefined
  for (const [index, line] of lines.entries()) {
    const zero = zeroLine.exec(line)?.[1]
    if (zero !== undefined && !Number.isNaN(Date.parse(zero))) zeroMs = Date.parse(zero)
    const times = cueLine.exec(line)
    const piece = fragment.exec(lines[index + 1] ?? '')
    if (times === null || piece === null) continue
    const [startS, endS] = [seconds(times[1] as string), seconds(times[2] as string)]
    const [x, y, width, height] = piece.slice(1).map(Number) as [number, number, number, number]
    const sprite = new URL((lines[index + 1] as string).replace(fragment, ''), url)
    if (sprite.origin !== new URL(url).origin || !(endS > startS)) continue
    pictures.push({ startS, endS, url: sprite.href, x, y, width, height })
  }
  pictures.sort((a, b) => a.startS - b.startS)
  return { pictures, zeroMs }
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
