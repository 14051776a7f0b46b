/** Which stored response a request selects (RFC 9111 4.1), with fields that mean the same made the same. */
import { cdnRuleLimits } from '../../limits/cdn-rules.ts'
import type { CacheRequest, Fields, ResponseHead, StoredHead } from '../message.ts'
import { fieldOf, listOf } from './field.ts'

/** Codings that make variants; others are not asked for. */
const codings = ['br', 'gzip', 'zstd'] as const

/**
 * Names in a response's `Vary`, in lower case, sorted; `'*'` when it names everything. A coded response varies on `Accept-Encoding` whether it says so
 * or not: whoever did not ask for the coding could not read it.
 */
export function varyNames(response: ResponseHead): readonly string[] | '*' {
  const names = new Set(listOf((fieldOf(response.headers, 'vary') ?? '').toLowerCase()))
  const coding = fieldOf(response.headers, 'content-encoding') ?? ''
  if (!/^(?:identity)?$/i.test(coding.trim())) names.add('accept-encoding')
  return names.has('*') ? '*' : [...names].sort()
}

/**
 * The request's fields that the response varies on, normalised: the key of the variant. A field that is not there is not here, so that it matches
 * only where it is missing too. Undefined for `Vary: *`, which nothing matches (RFC 9111 4.1), and for more than the limits.
 */
export function varyFields(request: CacheRequest, response: ResponseHead): Fields | undefined {
  const names = varyNames(response)
  if (names === '*' || names.length > cdnRuleLimits.varyNamesMax) return undefined
  const fields: [string, string][] = []
  let chars = 0
  for (const name of names) {
    const value = selectingValue(request, name)
    if (value === undefined) continue
    chars += value.length
    if (chars > cdnRuleLimits.varyCharsMax) return undefined
    fields.push([name, value])
  }
  return Object.fromEntries(fields)
}

function selectingValue(request: CacheRequest, name: string): string | undefined {
  // The host is part of the key already, and intermediaries move it about.
  if (name === 'host') return request.host
  const value = fieldOf(request.headers, name)
  // Asking for no coding is the same as asking for identity.
  if (name === 'accept-encoding') return normalise(name, value ?? '')
  return value === undefined ? undefined : normalise(name, value)
}

/** True when the request selects the stored response (RFC 9111 4.1). */
export function matchesVary(request: CacheRequest, stored: StoredHead): boolean {
  const varies = Object.hasOwn(stored.headers, 'vary')
  if (!varies && !Object.hasOwn(stored.headers, 'content-encoding')) return true
  const wanted = varyFields(request, stored)
  if (wanted === undefined) return false
  const names = Object.keys(wanted)
  return (
    names.length === Object.keys(stored.varyFields).length &&
    names.every((name) => fieldOf(stored.varyFields, name) === wanted[name])
  )
}

/** A selecting field in the form that all values of its meaning share (RFC 9111 4.1). The name is in lower case. */
export function normalise(name: string, value: string): string {
  if (name === 'accept-encoding') return normaliseEncoding(value)
  if (name === 'accept-language') return normaliseLanguage(value)
  const trimmed = value.trim()
  // White space in quoted strings means something.
  return trimmed.includes('"') ? trimmed : listSpacing(trimmed)
}

function listSpacing(text: string): string {
  return text
    .split(',')
    .map((member) => member.trim())
    .join(', ')
}

/** One member of an `Accept-…` field and its weight (RFC 9110 12.4.2). */
interface Weighted {
  readonly item: string
  /** 0 to 1,000. */
  readonly weight: number
}

function weightedItems(value: string): Weighted[] {
  return value
    .toLowerCase()
    .split(',')
    .map((member) => {
      const [item = '', ...parameters] = member.split(';').map((part) => part.trim())
      return { item, weight: weightOf(parameters) }
    })
    .filter(({ item }) => item !== '')
}

function weightOf(parameters: readonly string[]): number {
  const quality = parameters.find((parameter) => /^q\s*=/.test(parameter))
  if (quality === undefined) return 1_000
  const text = quality.slice(quality.indexOf('=') + 1).trim()
  // A weight that is none says nothing good of the item.
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Math.round(Number(text) * 1_000) : 0
}

/**
 * `Accept-Encoding` as the sorted codings that Kairo knows and the client takes: `br, gzip`; `identity` when it takes none. The origin is asked with
 * the very same words, so weights and codings that are left out cannot change its answer.
 */
function normaliseEncoding(value: string): string {
  const read = value.split(',', cdnRuleLimits.acceptItemsMax).join(',')
  const items = new Map(weightedItems(read).map(({ item, weight }) => [item, weight]))
  if (items.has('x-gzip') && !items.has('gzip')) items.set('gzip', items.get('x-gzip') ?? 0)
  const others = items.get('*') ?? 0
  const taken: string[] = codings.filter((coding) => (items.get(coding) ?? others) > 0)
  const refused = (items.get('identity') ?? (items.get('*') === 0 ? 0 : 1)) === 0
  if (refused) return [...taken, 'identity;q=0'].join(', ')
  return taken.length === 0 ? 'identity' : taken.join(', ')
}

/** `Accept-Language` in lower case, the most wanted first, each with the shortest form of its weight. A list beyond the limit stays as it is. */
function normaliseLanguage(value: string): string {
  const items = weightedItems(value)
  if (items.length > cdnRuleLimits.acceptItemsMax) return value.trim()
  return items
    .sort((a, b) => b.weight - a.weight)
    .map(({ item, weight }) => (weight === 1_000 ? item : `${item};q=${weight / 1_000}`))
    .join(', ')
}
