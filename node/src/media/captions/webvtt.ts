/**
 * WebVTT (W3C), as far as captions of streams need it: cues with their settings, read strictly and written plainly. Notes,
 * styles and regions are read over.
 */
import { KairoError } from '../../errors.ts'
import { captionLimits } from '../../limits/captions.ts'

/** One caption. */
export interface VttCue {
  /** Milliseconds. */
  readonly startMs: number
  /** Milliseconds, after `startMs`. */
  readonly endMs: number
  /** Cue payload as WebVTT has it, lines separated by `\n`, without empty lines. */
  readonly text: string
  readonly id?: string
  /** As written: `line:0 align:start`. */
  readonly settings?: string
}

/** How the cue times of a file stand to the timeline of the media (RFC 8216 3.5). */
export interface TimestampMap {
  /** 1/90000 s of the media, 33 bits. */
  readonly mpegTs: number
  /** The same instant in cue time, milliseconds. */
  readonly localMs: number
}

const TIMESTAMP = /^(?:(\d{2,6}):)?([0-5]\d):([0-5]\d)\.(\d{3})$/
const TIMING = /^([\d:.]+)[ \t]+-->[ \t]+([\d:.]+)(?:[ \t]+(.*?))?[ \t]*$/
const PERCENTAGE = String.raw`(?:100(?:\.0+)?|\d{1,2}(?:\.\d+)?)%`
/** Settings of a cue and the values that each may have (WebVTT 3.5). */
const SETTINGS: Readonly<Record<string, RegExp>> = {
  vertical: /^(?:rl|lr)$/,
  line: new RegExp(`^(?:-?\\d{1,4}|${PERCENTAGE})(?:,(?:start|center|end))?$`),
  position: new RegExp(`^${PERCENTAGE}(?:,(?:line-left|center|line-right))?$`),
  size: new RegExp(`^${PERCENTAGE}$`),
  align: /^(?:start|center|end|left|right)$/,
  region: /^[^\s]{1,64}$/,
}

/**
 * The cues of a file, in its order.
 * @throws KairoError `ERR_INVALID_INPUT` naming the line that is wrong, `ERR_LIMIT` for files beyond `captionLimits`.
 */
export function parseWebVtt(file: Uint8Array): readonly VttCue[] {
  if (file.byteLength > captionLimits.fileBytesMax) {
    throw new KairoError(
      'ERR_LIMIT',
      `a caption file has at most ${captionLimits.fileBytesMax} bytes`,
    )
  }
  const lines = decode(file).split(/\r\n|\n|\r/)
  if (!/^WEBVTT(?:[ \t].*)?$/.test(lines[0] ?? '')) {
    throw malformed(1, 'the file does not begin with WEBVTT')
  }
  const cues: VttCue[] = []
  let at = endOfBlock(lines, 0)
  for (;;) {
    while (at < lines.length && lines[at] === '') at += 1
    if (at >= lines.length) return cues
    const end = endOfBlock(lines, at)
    const cue = readBlock(lines, at, end)
    if (cue !== undefined) cues.push(cue)
    if (cues.length > captionLimits.cuesMax) {
      throw new KairoError('ERR_LIMIT', `a caption file has at most ${captionLimits.cuesMax} cues`)
    }
    at = end
  }
}

/** A file with these cues; with `map` it says how their times stand to the media. */
export function serialiseWebVtt(cues: readonly VttCue[], map?: TimestampMap): Buffer {
  const lines = ['WEBVTT']
  if (map !== undefined) {
    lines.push(`X-TIMESTAMP-MAP=MPEGTS:${map.mpegTs},LOCAL:${formatTimestamp(map.localMs)}`)
  }
  for (const cue of cues) {
    lines.push('')
    if (cue.id !== undefined) lines.push(cue.id)
    const settings = cue.settings === undefined ? '' : ` ${cue.settings}`
    lines.push(
      `${formatTimestamp(cue.startMs)} --> ${formatTimestamp(cue.endMs)}${settings}`,
      cue.text,
    )
  }
  lines.push('')
  return Buffer.from(lines.join('\n'))
}

/**
 * A cue in the form that a file may hold: whole milliseconds, no empty lines, no arrow in its text.
 * @throws KairoError `ERR_INVALID_INPUT`, `ERR_LIMIT`.
 */
export function cleanCue(cue: VttCue): VttCue {
  const startMs = Math.round(cue.startMs)
  const endMs = Math.round(cue.endMs)
  checkTimes(startMs, endMs, undefined)
  const text = cue.text
    .split(/\r\n|\n|\r/)
    .map((line) => line.replaceAll('\0', '\uFFFD').replaceAll('-->', '--&gt;'))
    .filter((line) => line.trim() !== '')
    .join('\n')
  if (text === '') throw new KairoError('ERR_INVALID_INPUT', 'a caption has no text')
  checkLength(text, captionLimits.cueCharsMax, undefined)
  const id = cue.id
    ?.replaceAll('-->', '')
    .replaceAll(/[\r\n\0]/g, ' ')
    .trim()
  if (id !== undefined) checkLength(id, captionLimits.cueHeadCharsMax, undefined)
  const settings = readSettings(cue.settings, undefined)
  return { startMs, endMs, text, ...(id ? { id } : {}), ...(settings ? { settings } : {}) }
}

function decode(file: Uint8Array): string {
  let text: string
  try {
    // A byte order mark is taken off by the decoder.
    text = new TextDecoder('utf-8', { fatal: true }).decode(file)
  } catch (cause) {
    throw new KairoError('ERR_INVALID_INPUT', 'a caption file is not UTF-8', { cause })
  }
  return text.replaceAll('\0', '\uFFFD')
}

function endOfBlock(lines: readonly string[], from: number): number {
  let end = from
  while (end < lines.length && lines[end] !== '') end += 1
  return end
}

/** One block; undefined for a note, a style or a region. */
function readBlock(lines: readonly string[], from: number, end: number): VttCue | undefined {
  const first = lines[from] ?? ''
  if (/^NOTE(?:[ \t]|$)/.test(first)) return undefined
  const isCue = first.includes('-->')
  const timing = isCue ? first : lines[from + 1]
  if (/^(?:STYLE|REGION)[ \t]*$/.test(first) && timing?.includes('-->') !== true) return undefined
  if (timing === undefined || !timing.includes('-->') || (!isCue && from + 1 >= end)) {
    throw malformed(from + 1, 'expected a cue, a note or a style')
  }
  const at = isCue ? from : from + 1
  const text = lines.slice(at + 1, end)
  if (text.some((line) => line.includes('-->'))) {
    throw malformed(at + 2, 'the text of a cue holds an arrow')
  }
  const cue = readTiming(timing, at + 1)
  const payload = text.join('\n')
  checkLength(payload, captionLimits.cueCharsMax, at + 2)
  if (isCue) return { ...cue, text: payload }
  checkLength(first, captionLimits.cueHeadCharsMax, from + 1)
  return { ...cue, text: payload, id: first }
}

function readTiming(line: string, number: number): Omit<VttCue, 'text'> {
  const match = TIMING.exec(line)
  const startMs = parseTimestamp(match?.[1])
  const endMs = parseTimestamp(match?.[2])
  if (startMs === undefined || endMs === undefined) {
    throw malformed(number, 'expected times like 00:01.000 --> 00:02.500')
  }
  checkTimes(startMs, endMs, number)
  const settings = readSettings(match?.[3], number)
  return { startMs, endMs, ...(settings ? { settings } : {}) }
}

function readSettings(settings: string | undefined, line: number | undefined): string {
  if (settings === undefined) return ''
  checkLength(settings, captionLimits.cueHeadCharsMax, line)
  const words = settings.split(/[ \t]+/).filter((word) => word !== '')
  for (const word of words) {
    const colon = word.indexOf(':')
    const name = word.slice(0, Math.max(0, colon))
    const value = Object.hasOwn(SETTINGS, name) ? SETTINGS[name] : undefined
    if (value?.test(word.slice(colon + 1)) !== true) {
      throw malformed(line, `${JSON.stringify(word.slice(0, 40))} is no setting of a cue`)
    }
  }
  return words.join(' ')
}

function checkTimes(startMs: number, endMs: number, line: number | undefined): void {
  if (!(startMs >= 0 && endMs > startMs && endMs <= captionLimits.cueMsMax)) {
    throw malformed(line, 'a cue ends after it begins, within a thousand hours')
  }
}

function checkLength(text: string, max: number, line: number | undefined): void {
  if (text.length <= max) return
  const where = line === undefined ? '' : `line ${line}: `
  throw new KairoError('ERR_LIMIT', `${where}this part of a cue has at most ${max} characters`)
}

function parseTimestamp(text: string | undefined): number | undefined {
  const match = TIMESTAMP.exec(text ?? '')
  if (match === null) return undefined
  const [, hours = '0', minutes = '0', seconds = '0', ms = '0'] = match
  return ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1_000 + Number(ms)
}

function formatTimestamp(timeMs: number): string {
  const pad = (value: number, digits: number): string => String(value).padStart(digits, '0')
  const seconds = Math.floor(timeMs / 1_000)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  return `${pad(hours, 2)}:${pad(minutes % 60, 2)}:${pad(seconds % 60, 2)}.${pad(timeMs % 1_000, 3)}`
}

function malformed(line: number | undefined, problem: string): KairoError {
  const where = line === undefined ? '' : `line ${line}: `
  return new KairoError('ERR_INVALID_INPUT', `${where}${problem}`)
}
