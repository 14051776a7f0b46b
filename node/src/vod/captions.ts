/** Checks of caption files that people add to a video. */
import { writeFile } from 'node:fs/promises'
import type { CaptionFile } from '../content/archive/presentation.ts'
import { digestOf } from '../content/digest.ts'
import { LANGUAGE_TAG } from '../content/stream.ts'
import { KairoError } from '../errors.ts'
import { storageError } from '../files.ts'
import { vodLimits } from '../limits/vod.ts'
import { parseWebVtt, serialiseWebVtt } from '../media/captions/webvtt.ts'
import type { Asset } from './asset.ts'

/**
 * The file as it is kept: its cues, written anew.
 * @throws KairoError `ERR_INVALID_INPUT`, `ERR_LIMIT`.
 */
function checkCaptions(language: string, label: string, vtt: Uint8Array): Buffer {
  if (!LANGUAGE_TAG.test(language)) {
    throw new KairoError('ERR_INVALID_INPUT', `${JSON.stringify(language)} is no language tag`)
  }
  if (label.length > vodLimits.labelLengthMax || /\p{Cc}/u.test(label)) {
    throw new KairoError('ERR_INVALID_INPUT', 'the label is too long or holds control characters')
  }
  if (vtt.byteLength > vodLimits.captionBytesMax) {
    throw new KairoError('ERR_LIMIT', `captions take ${vodLimits.captionBytesMax} bytes at most`)
  }
  return serialiseWebVtt(parseWebVtt(vtt))
}

/**
 * Writes a caption file and returns `captions` with it, in place of one of the same language and label.
 * @throws KairoError `ERR_INVALID_INPUT` for text that is no WebVTT, `ERR_LIMIT`, `ERR_STORAGE`.
 */
export async function addCaptionFile(
  asset: Asset,
  captions: readonly CaptionFile[],
  language: string,
  label: string,
  vtt: Uint8Array,
): Promise<readonly CaptionFile[]> {
  const bytes = checkCaptions(language, label, vtt)
  const others = captions.filter((one) => one.language !== language || one.label !== label)
  if (others.length >= vodLimits.captionsMax) {
    throw new KairoError('ERR_LIMIT', `a video has ${vodLimits.captionsMax} caption files at most`)
  }
  const name = captionName(language, new Set(captions.map((one) => one.name)))
  try {
    await writeFile(asset.path(`${name}.vtt`), bytes, { mode: 0o600, flush: true })
  } catch (cause) {
    throw storageError('cannot write the captions', cause)
  }
  return [...others, { name, language, label, digest: digestOf(bytes) }]
}

/** `captions-en`, `captions-en-2`, ...: a name that no file of this video has had, so that no digest changes under a name. */
function captionName(language: string, taken: ReadonlySet<string>): string {
  const stem = `captions-${language.toLowerCase()}`.slice(0, 28)
  for (let number = 1; ; number++) {
    const name = number === 1 ? stem : `${stem}-${number}`
    if (!taken.has(name)) return name
  }
}
