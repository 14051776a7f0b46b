/**
 * What the fields of messages have to be. A check takes any value that JSON can hold, and gives back one of the right type that is made of nothing but
 * what was looked at, or throws; a reader is a table of them.
 */
import type { Step } from './edge-messages.ts'
import { protocolLimits as limits } from './limits.ts'
import { isPartKey, isRenditionName } from './part-key.ts'
import { ProtocolError } from './protocol-error.ts'

/**
 * Checks a value.
 * @param name of the field, for the error
 * @throws ProtocolError
 */
export type Check<Value> = (value: unknown, name: string) => Value

/** What the rest of a message has to be, by its kind. */
type Bodies<Message extends { readonly kind: string }> = {
  readonly [Kind in Message['kind']]: Check<Omit<OfKind<Message, Kind>, 'kind'>>
}

type OfKind<Message, Kind> = Message extends { readonly kind: infer Kinds }
  ? Kind extends Kinds
    ? Message
    : never
  : never

/** Throws for a field. */
export function bad(name: string): never {
  throw new ProtocolError(`bad ${name}`)
}

/** A reader of messages that are JSON objects: it gives back undefined for those of a kind that the table does not have. */
export function messageReader<Message extends { readonly kind: string }>(
  charsMax: number,
  bodies: Bodies<Message>,
): (text: string) => Message | undefined {
  // Not looked up in the table itself, which has more names than it shows.
  const checks = new Map<string, Check<object>>(Object.entries(bodies))
  return (text) => {
    if (typeof text !== 'string' || text.length > charsMax) bad('length')
    const value = parse(text)
    const { kind } = head(value, 'message')
    const check = checks.get(kind)
    return check && ({ kind, ...check(value, kind) } as unknown as Message)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return bad('JSON')
  }
}

/** An object; fields that are not listed are left out. */
export function object<Value>(
  fields: {
    readonly [Name in keyof Value]: Check<Value[Name]>
  },
): Check<Value> {
  const checks = Object.entries(fields) as [string, Check<unknown>][]
  return (value, name) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) bad(name)
    const made: Record<string, unknown> = {}
    for (const [field, check] of checks) {
      const found = check((value as Record<string, unknown>)[field], field)
      if (found !== undefined) made[field] = found
    }
    return made as Value
  }
}

/** A field that may be absent. */
export function optional<Value>(check: Check<Value>): Check<Value | undefined> {
  return (value, name) => (value === undefined ? undefined : check(value, name))
}

/** A list of at most so many. */
export function list<Item>(max: number, check: Check<Item>): Check<Item[]> {
  return (value, name) =>
    Array.isArray(value) && value.length <= max ? value.map((item) => check(item, name)) : bad(name)
}

/** A whole number. */
export function number(min: number, max: number): Check<number> {
  return (value, name) => {
    // A fraction and NaN are no integers; -0 is made 0.
    const isFine = Number.isInteger(value) && (value as number) >= min && (value as number) <= max
    return isFine ? (value as number) + 0 : bad(name)
  }
}

/** A text that passes a test. */
function text(test: (text: string) => boolean): Check<string> {
  return (value, name) => (typeof value === 'string' && test(value) ? value : bad(name))
}

/** A text that a pattern is found in. */
export function matching(pattern: RegExp): Check<string> {
  return text((value) => pattern.test(value))
}

/** A text of `min` to `max` UTF-16 units. */
export function sized(max: number, min = 0): Check<string> {
  return text(({ length }) => length >= min && length <= max)
}

/** Visible ASCII characters. */
export function token(max: number): Check<string> {
  return matching(new RegExp(`^[!-~]{1,${max}}$`))
}

/** One of a few words. */
export function word<Word extends string>(...words: readonly Word[]): Check<Word> {
  return (value, name) => (words.includes(value as Word) ? (value as Word) : bad(name))
}

/** What all messages have. */
const head = object({ kind: text(() => true) })

/** A span in milliseconds. */
export const span = number(0, limits.waitMsMax)
/** Bits a second. */
export const rate = number(0, limits.bpsMax)
/** Bytes of a part. */
export const length = number(0, limits.partBytesMax)
export const key = text(isPartKey)
export const rendition = text(isRenditionName)
export const pageId = matching(/^[\w-]{16}$/)
export const pageIds = list(limits.peersPerMessageMax, pageId)
/** A SHA-256; the last of 43 characters stands for four bits. */
export const digest = matching(/^[\w-]{42}[AEIMQUYcgkosw048]$/)
export const flag: Check<boolean> = (value, name) =>
  typeof value === 'boolean' ? value : bad(name)
/** A list of parts. */
export function parts<Part>(check: Check<Part>): Check<Part[]> {
  return list(limits.partsPerMessageMax, check)
}

const description = object({ type: word('offer', 'answer'), text: sized(limits.signalCharsMax, 1) })
const candidate = object({ type: word('candidate'), text: sized(limits.signalCharsMax) })

/** A step of connecting: a description, or a candidate, which is empty when there are no more of them. */
export const step: Check<Step> = (value, name) =>
  (value as Partial<Step> | null)?.type === 'candidate'
    ? candidate(value, name)
    : description(value, name)
