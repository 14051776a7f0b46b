/** Directives of `Cache-Control` (RFC 9111 5.2) and of the fields that are targeted at CDNs (RFC 9213). */
import { parseDictionary } from 'structured-headers'
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'
import type { CacheRequest, Fields, ResponseHead } from '../message.ts'
import { fieldOf, isToken, listOf } from './field.ts'

/** What a message says of caching. Times are in seconds, capped at 2^31 (RFC 9111 1.2.2). */
export interface CacheControl {
  /** It came in a field that is for CDNs, so that `Cache-Control` and `Expires` say nothing (RFC 9213 2.2). */
  readonly targeted: boolean
  /** That field was `Surrogate-Control`, which is older than RFC 9213 and says nothing of cookies. */
  readonly surrogate: boolean
  readonly noStore: boolean
  /** The unqualified form. */
  readonly noCache: boolean
  /** Fields of `no-cache="…"` (RFC 9111 5.2.2.4), in lower case. */
  readonly noCacheFields: readonly string[]
  /** The unqualified form. */
  readonly isPrivate: boolean
  /** Fields of `private="…"` (RFC 9111 5.2.2.7), in lower case. */
  readonly privateFields: readonly string[]
  readonly isPublic: boolean
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  readonly mustUnderstand: boolean
  readonly noTransform: boolean
  /** RFC 8246. */
  readonly immutable: boolean
  readonly onlyIfCached: boolean
  readonly maxAgeS?: number
  readonly sMaxageS?: number
  readonly minFreshS?: number
  /** 2^31 when any staleness is welcome. */
  readonly maxStaleS?: number
  /** RFC 5861 3. */
  readonly staleWhileRevalidateS?: number
  /** RFC 5861 4. */
  readonly staleIfErrorS?: number
}

type Draft = {
  -readonly [K in keyof CacheControl]: CacheControl[K] extends readonly string[]
    ? string[]
    : CacheControl[K]
}

/** A directive's argument; `malformed` has white space or bytes where none may be. */
interface Argument {
  readonly text: string
  readonly quoted: boolean
  readonly malformed: boolean
}

function emptyDraft(): Draft {
  return {
    targeted: false,
    surrogate: false,
    noStore: false,
    noCache: false,
    noCacheFields: [],
    isPrivate: false,
    privateFields: [],
    isPublic: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    noTransform: false,
    immutable: false,
    onlyIfCached: false,
  }
}

const nothing: CacheControl = emptyDraft()

/** Directives that are there or not; an argument changes nothing, so that `no-store=1` still forbids. */
const flags = {
  'no-store': 'noStore',
  public: 'isPublic',
  'must-revalidate': 'mustRevalidate',
  'proxy-revalidate': 'proxyRevalidate',
  'must-understand': 'mustUnderstand',
  'no-transform': 'noTransform',
  immutable: 'immutable',
  'only-if-cached': 'onlyIfCached',
} as const

/** Directives with seconds; of two, the first counts (RFC 9111 4.2.1). */
const times = {
  'max-age': 'maxAgeS',
  's-maxage': 'sMaxageS',
  'min-fresh': 'minFreshS',
  'max-stale': 'maxStaleS',
  'stale-while-revalidate': 'staleWhileRevalidateS',
  'stale-if-error': 'staleIfErrorS',
} as const

/** Fields that the rules themselves judge by: a response that wants one of them kept out is not half kept, but not reused at all. */
const judged = new Set([
  ...['cache-control', 'cdn-cache-control', 'kairo-cdn-cache-control', 'surrogate-control'],
  ...['expires', 'date', 'age'],
  ...['vary', 'etag', 'last-modified', 'pragma', 'authorization'],
  ...['content-type', 'content-encoding', 'content-length', 'content-range'],
])

/** What a `Cache-Control` field says. Never throws; takes time in proportion to the text. */
function parseCacheControl(text: string): CacheControl {
  const draft = emptyDraft()
  for (let at = 0; at < text.length; ) {
    const end = nameEnd(text, at)
    const raw = text.slice(at, end)
    const name = raw.trim().toLowerCase()
    if (text[end] !== '=') {
      apply(draft, name, undefined)
      at = end + 1
      continue
    }
    const [argument, next] = readArgument(text, end + 1, raw.trimEnd() !== raw)
    apply(draft, name, argument)
    at = next
  }
  return draft
}

function nameEnd(text: string, from: number): number {
  let at = from
  while (at < text.length && text[at] !== ',' && text[at] !== '=') at += 1
  return at
}

/** The argument that begins at `from`, and where the next directive begins. */
function readArgument(text: string, from: number, spaced: boolean): [Argument, number] {
  if (text[from] !== '"') {
    const comma = text.indexOf(',', from)
    const end = comma < 0 ? text.length : comma
    const value = text.slice(from, end).trimEnd()
    return [{ text: value, quoted: false, malformed: spaced || !isToken(value) }, end + 1]
  }
  let at = from + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  const closed = at < text.length
  const comma = text.indexOf(',', Math.min(at + 1, text.length))
  const end = comma < 0 ? text.length : comma
  const rest = text.slice(at + 1, end).trim()
  const value = text.slice(from + 1, Math.min(at, text.length)).replaceAll(/\\(.)/gs, '$1')
  return [{ text: value, quoted: true, malformed: spaced || !closed || rest !== '' }, end + 1]
}

function apply(draft: Draft, name: string, argument: Argument | undefined): void {
  if (name === 'no-cache' || name === 'private') {
    applyQualified(draft, name, argument)
  } else if (Object.hasOwn(flags, name)) {
    draft[flags[name as keyof typeof flags]] = true
  } else if (Object.hasOwn(times, name)) {
    const key = times[name as keyof typeof times]
    draft[key] ??= secondsOf(name, argument)
  }
}

/** `no-cache="a, b"` is about fields; any other argument is taken as none, which forbids more. */
function applyQualified(
  draft: Draft,
  name: 'no-cache' | 'private',
  argument: Argument | undefined,
): void {
  const names = argument?.quoted && !argument.malformed ? listOf(argument.text) : []
  const lower = names.map((field) => field.toLowerCase())
  const qualified = lower.length > 0 && lower.every((field) => isToken(field) && !judged.has(field))
  if (name === 'no-cache') {
    if (qualified) draft.noCacheFields.push(...lower)
    else draft.noCache = true
  } else if (qualified) draft.privateFields.push(...lower)
  else draft.isPrivate = true
}

/** An invalid lifetime is none (RFC 9111 4.2.1); an invalid permission or wish is not there. */
function secondsOf(name: string, argument: Argument | undefined): number | undefined {
  if (argument === undefined && name === 'max-stale') return cdnRuleLimits.deltaSecondsMax
  const seconds = argument?.malformed === false ? deltaSeconds(argument.text) : undefined
  return seconds ?? (name === 'max-age' || name === 's-maxage' ? 0 : undefined)
}

/** Seconds (RFC 9111 1.2.2): digits only, capped at 2^31; undefined for anything else. */
export function deltaSeconds(text: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined
  return Math.min(Number(text), cdnRuleLimits.deltaSecondsMax)
}

/** What a request says; `Pragma: no-cache` counts where there is no `Cache-Control` (RFC 9111 5.4). */
export function requestControl(request: CacheRequest): CacheControl {
  const text = fieldOf(request.headers, 'cache-control')
  if (text !== undefined) return parseCacheControl(text)
  return hasPragmaNoCache(request.headers) ? { ...nothing, noCache: true } : nothing
}

/** True for `Pragma: no-cache` (RFC 9111 5.4). */
export function hasPragmaNoCache(headers: Fields): boolean {
  const pragma = fieldOf(headers, 'pragma')
  return pragma !== undefined && listOf(pragma.toLowerCase()).includes('no-cache')
}

/** Kairo's name among surrogates, in `Surrogate-Capability` too. */
export const SURROGATE = 'kairo'

/** The targets that Kairo is one of, the nearest first (RFC 9213 2.2). */
const targets = ['kairo-cdn-cache-control', 'cdn-cache-control'] as const

/** What a response says to this cache: by the first targeted field that is valid and not empty, else by `Surrogate-Control`, else by `Cache-Control`. */
export function responseControl(response: ResponseHead): CacheControl {
  for (const target of targets) {
    const text = fieldOf(response.headers, target)
    const control = text === undefined ? undefined : parseTargeted(text)
    if (control !== undefined) return control
  }
  const surrogate = parseSurrogate(fieldOf(response.headers, 'surrogate-control') ?? '')
  if (surrogate !== undefined) return surrogate
  const text = fieldOf(response.headers, 'cache-control')
  return text === undefined ? nothing : parseCacheControl(text)
}

/**
 * What a targeted field says (RFC 9213 2.1); undefined when it is to be ignored: not a dictionary, empty, or a directive that is known has a
 * value of another type.
 */
function parseTargeted(text: string): CacheControl | undefined {
  const members = dictionaryOf(text)
  if (members === undefined || members.size === 0) return undefined
  const draft: Draft = { ...emptyDraft(), targeted: true }
  for (const [name, [value]] of members) {
    if (Object.hasOwn(times, name)) {
      if (typeof value !== 'number' || !Number.isInteger(value)) return undefined
      const seconds = Math.min(Math.max(value, 0), cdnRuleLimits.deltaSecondsMax)
      draft[times[name as keyof typeof times]] = seconds
    } else if (typeof value === 'string') {
      apply(draft, name, { text: value, quoted: true, malformed: false })
    } else if (value !== false) {
      apply(draft, name, undefined)
    }
  }
  return draft
}

/**
 * What a `Surrogate-Control` says (Edge Architecture Specification 2.3): directives as in `Cache-Control`, those with the name of another surrogate behind
 * a semicolon left out. Undefined when none is left that means something here.
 */
function parseSurrogate(text: string): CacheControl | undefined {
  const own = listOf(text).flatMap((member) => {
    const [directive = '', target = SURROGATE] = member.split(';').map((part) => part.trim())
    return target.toLowerCase() === SURROGATE ? [directive.replace(extension, '$1')] : []
  })
  const isKnown = own.some((member) => surrogateNames.has(nameOf(member)))
  if (!isKnown) return undefined
  return { ...parseCacheControl(own.join(',')), targeted: true, surrogate: true }
}

function nameOf(directive: string): string {
  return (directive.split('=', 1)[0] as string).trim().toLowerCase()
}

/** `max-age=600+30`: what may follow when it is stale is not taken up. */
const extension = /^(max-age=\d+)\+\d+$/i

const surrogateNames = new Set([...['no-store', 'no-cache', 'private', ...Object.keys(times)]])

/** The dictionary that the text is; undefined when it is none. */
function dictionaryOf(text: string): ReturnType<typeof parseDictionary> | undefined {
  try {
    return parseDictionary(text)
  } catch {
    // A field that does not parse is as if it were not there (RFC 9213 2.1).
    return undefined
  }
}
