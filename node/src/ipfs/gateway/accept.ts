/** What a client of the gateway wants: the `format` parameter, else the best range of `Accept` (RFC 9110 12.5.1). */
import { KairoError } from '../../errors.ts'
import { gatewayLimits } from '../../limits/ipfs.ts'

/** A kind of answer. */
export type WantedFormat =
  | { readonly format: 'raw' }
  | {
      readonly format: 'car'
      readonly duplicates: boolean
      /** What was asked for by name: version, order, dups. */
      readonly parameters: ReadonlyMap<string, string>
    }
  | { readonly format: 'file' }

const RAW = 'application/vnd.ipld.raw'
const CAR = 'application/vnd.ipld.car'

interface Range {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
  readonly quality: number
}

/**
 * The wanted format; undefined when the client takes nothing that there is (406).
 * @throws KairoError `ERR_INVALID_INPUT` for parameters that have no such value.
 */
export function wantedFormat(
  query: URLSearchParams,
  accept: string | undefined,
): WantedFormat | undefined {
  const ranges = readAccept(accept ?? '*/*')
  const format = query.get('format')
  if (format === 'raw') return { format }
  if (format === 'car') {
    const range = ranges.find(({ type, parameters }) => type === CAR && isPossible(parameters))
    return withQuery(range?.parameters ?? new Map(), query)
  }
  if (format !== null) return undefined
  for (const { type, parameters } of ranges) {
    if (type === RAW) return { format: 'raw' }
    if (type === CAR && isPossible(parameters)) return withQuery(parameters, query)
    // A browser, or a program that did not say: the file itself, to be saved.
    if (type === '*/*' || type === 'application/*' || type === 'application/octet-stream') {
      return { format: 'file' }
    }
  }
  return undefined
}

/** CAR parameters in the query count before those of the field. */
function withQuery(parameters: ReadonlyMap<string, string>, query: URLSearchParams): WantedFormat {
  const merged = new Map<string, string>()
  for (const name of ['version', 'order', 'dups']) {
    const value = query.get(`car-${name}`) ?? parameters.get(name)
    if (value !== undefined) merged.set(name, value)
  }
  if (!isPossible(merged)) {
    throw new KairoError(
      'ERR_INVALID_INPUT',
      'CARs have version 1 here, the order dfs, and dups y or n',
    )
  }
  return { format: 'car', duplicates: merged.get('dups') === 'y', parameters: merged }
}

/**
 * The query that names the format which was chosen by the field, so that a cache may keep each format by its own URL
 * (Content-Location in the trustless gateway specification); undefined where the query at hand does that.
 */
export function namingQuery(query: URLSearchParams, wanted: WantedFormat): string | undefined {
  if (wanted.format === 'file') return undefined
  const naming = new URLSearchParams(query)
  naming.set('format', wanted.format)
  if (wanted.format === 'car') {
    for (const [name, value] of wanted.parameters) naming.set(`car-${name}`, value)
  }
  const text = naming.toString()
  return text === query.toString() ? undefined : text
}

function isPossible(parameters: ReadonlyMap<string, string>): boolean {
  return (
    ['1', ''].includes(parameters.get('version') ?? '') &&
    ['dfs', 'unk', ''].includes(parameters.get('order') ?? '') &&
    ['y', 'n', ''].includes(parameters.get('dups') ?? '')
  )
}

/** The ranges of an Accept field, the most wanted first; those of quality 0 are left out. */
function readAccept(field: string): Range[] {
  const ranges = field.split(',', gatewayLimits.acceptRangesMax).map((text): Range => {
    const [type = '', ...pairs] = text.split(';').map((part) => part.trim().toLowerCase())
    const parameters = new Map<string, string>()
    for (const pair of pairs) {
      const [name = '', value = ''] = pair.split('=').map((part) => part.trim())
      parameters.set(name, value.replace(/^"(.*)"$/, '$1'))
    }
    const quality = Number(parameters.get('q') ?? 1)
    return { type, parameters, quality: Number.isFinite(quality) ? quality : 0 }
  })
  return ranges.filter(({ quality }) => quality > 0).sort((a, b) => b.quality - a.quality)
}
