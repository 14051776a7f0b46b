/** The pictures that were made while a recording ran become its storyboard: nothing is decoded again. */
import { link, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ArchivedSegment, Storyboard } from '../content/archive/presentation.ts'
import { digestOf } from '../content/digest.ts'
import { liveStoryboardLimits as limits } from '../limits/live-storyboard.ts'
import { planStoryboard } from './storyboard-plan.ts'

const PICTURE = /^picture-(0|[1-9][0-9]{0,14})\.jpg$/

/** Name of the file in which a recording keeps the picture of a segment. */
export function pictureFile(msn: number): string {
  return `picture-${msn}.jpg`
}

/**
 * Makes the storyboard of a recording's folder out of its pictures, which go; `spriteFile` names the files of a video's sprites.
 * @throws the file system's error.
 */
export async function makeStoryboard(
  directory: string,
  segments: readonly Pick<ArchivedSegment, 'msn' | 'durationUs'>[],
  spriteFile: (index: number) => string,
): Promise<Storyboard | undefined> {
  const files = (await readdir(directory)).filter((name) => PICTURE.test(name))
  const plan = planStoryboard(
    segments,
    new Set(files.map((name) => Number(PICTURE.exec(name)?.[1]))),
  )
  const sprites: string[] = []
  for (const [index, msn] of (plan?.msns ?? []).entries()) {
    const path = join(directory, pictureFile(msn))
    const sprite = join(directory, spriteFile(index))
    sprites.push(digestOf(await readFile(path)))
    // What an attempt that failed has left.
    await rm(sprite, { force: true })
    await link(path, sprite)
  }
  for (const name of files) await rm(join(directory, name), { force: true })
  if (plan === undefined) return undefined
  const { width, height } = limits
  const { intervalMs } = plan
  return { intervalMs, width, height, columns: 1, rows: 1, count: sprites.length, sprites }
}
