/**
 * Reading of single fields, for the readers of messages. A field that is not what it has to be is refused; what is returned holds nothing of
 * the sender's but strings, numbers and booleans that were looked at.
 */
import { protocolLimits } from './limits.ts'
import { isPartKey, isRenditionName, type PartKey } from './part-key.ts'
import { ProtocolError } from './protocol-error.ts'

/** A JSON object. */
export type Fields = Readonly<Record<string, unknown>>

const pageIdPattern = /^[A-Za-z0-9_-]{16}$/
/** The last of 43 characters stands for four bits. */
const digestPattern = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/
const tokenPattern = /^[!-~]+$/

/** The object that a text is, and its kind. */
export function readObject(text: string, charsMax: number): { kind: string; fields: Fields } {
  if (typeof text !== 'string') throw new ProtocolError('not a text')
  if (text.length > charsMax) throw new ProtocolError('message too long')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ProtocolError('not JSON')
  }
  const fields = fieldsOf(value, 'message')
  const { kind } = fields
  if (typeof kind !== 'string') throw new ProtocolError('message without a kind')
  return { kind, fields }
}

/** A whole number from `min` to `max`. */
export function readNumber(fields: Fields, name: string, min: number, max: number): number {
  const value = fields[name]
  // A fraction and NaN are no integers; -0 is made 0.
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) bad(name)
  return (value as number) + 0
}

/** As {@link readNumber}; undefined where the field is absent. */
export function readOptionalNumber(
  fields: Fields,
  name: string,
  min: number,
  max: number,
): number | undefined {
  return fields[name] === undefined ? undefined : readNumber(fields, name, min, max)
}

/** A span in milliseconds, from `min` to the longest that is waited for anything. */
export function readSpan(fields: Fields, name: string, min = 0): number {
  return readNumber(fields, name, min, protocolLimits.waitMsMax)
}

/** Bits a second. */
export function readRate(fields: Fields, name: string): number {
  return readNumber(fields, name, 0, protocolLimits.bpsMax)
}

/** The length of a part. */
export function readLength(fields: Fields): number {
  return readNumber(fields, 'bytes', 0, protocolLimits.partBytesMax)
}

export function readBoolean(fields: Fields, name: string): boolean {
  const value = fields[name]
  if (typeof value !== 'boolean') bad(name)
  return value
}

/** A text of `charsMin` to `charsMax` UTF-16 units. */
export function readText(fields: Fields, name: string, charsMax: number, charsMin = 1): string {
  const value = fields[name]
  if (typeof value !== 'string' || value.length < charsMin || value.length > charsMax) bad(name)
  return value
}

/** A text of visible ASCII characters; undefined where the field is absent. */
export function readOptionalToken(
  fields: Fields,
  name: string,
  charsMax: number,
): string | undefined {
  return fields[name] === undefined ? undefined : readToken(fields, name, charsMax)
}

/** A text of visible ASCII characters. */
export function readToken(fields: Fields, name: string, charsMax: number): string {
  const value = readText(fields, name, charsMax)
  if (!tokenPattern.test(value)) bad(name)
  return value
}

/** One of a few words. */
export function readWord<Word extends string>(
  fields: Fields,
  name: string,
  words: readonly Word[],
): Word {
  const value = fields[name] as Word
  if (!words.includes(value)) bad(name)
  return value
}

export function readKey(fields: Fields): PartKey {
  return keyOf(fields.key)
}

/** A value that has to be a key. */
export function keyOf(value: unknown): PartKey {
  if (typeof value !== 'string' || !isPartKey(value)) bad('key')
  return value
}

export function readRendition(fields: Fields): string {
  const value = fields.rendition
  if (typeof value !== 'string' || !isRenditionName(value)) bad('rendition')
  return value
}

export function readPageId(fields: Fields, name: string): string {
  return pageIdOf(fields[name])
}

/** A value that has to be the id of a page. */
export function pageIdOf(value: unknown): string {
  if (typeof value !== 'string' || !pageIdPattern.test(value)) bad('page id')
  return value
}

/** A SHA-256. */
export function readDigest(fields: Fields): string {
  const value = fields.digest
  if (typeof value !== 'string' || !digestPattern.test(value)) bad('digest')
  return value
}

/** A list of at most `max` values, each read by `read`. */
export function readList<Item>(
  fields: Fields,
  name: string,
  max: number,
  read: (value: unknown) => Item,
): Item[] {
  const value = fields[name]
  if (!Array.isArray(value)) bad(name)
  if (value.length > max) throw new ProtocolError(`too many ${name}`)
  return value.map(read)
}

/** The fields of a value that has to be an object. */
export function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) bad(name)
  return value as Fields
}

function bad(name: string): never {
  throw new ProtocolError(`bad ${name}`)
}
