/** Takes a request to the gateway apart (https://specs.ipfs.tech/http-gateways/trustless-gateway/). */
import type { IncomingHttpHeaders } from 'node:http'
import type { CID } from 'multiformats/cid'
import { KairoError } from '../../errors.ts'
import { gatewayLimits, ipfsLimits } from '../../limits/ipfs.ts'
import { parseCid } from '../block-name.ts'
import { namingQuery, type WantedFormat, wantedFormat } from './accept.ts'

/** First and last byte as a client names them: from the end where negative, to the end where `*`. */
export interface EntityBytes {
  readonly from: number
  readonly to: number | '*'
}

/** A request. */
export interface GatewayRequest {
  /** As it came, without the query. */
  readonly path: string
  readonly root: CID
  /** Names below the root. */
  readonly segments: readonly string[]
  /** Undefined when nothing that the client takes can be given. */
  readonly wanted: WantedFormat | undefined
  readonly scope: 'block' | 'entity' | 'all'
  readonly entityBytes: EntityBytes | undefined
  readonly onlyIfCached: boolean
  /** Path and query that name the format, where the request's own do not. */
  readonly contentLocation: string | undefined
  /** A file name that the client wishes for the download. */
  readonly filename: string | undefined
}

const PREFIX = '/ipfs/'
const ENTITY_BYTES = /^(-?\d{1,15}):(-?\d{1,15}|\*)$/

/** @throws KairoError `ERR_INVALID_INPUT` for a CID, path or parameter that is none. */
export function readGatewayRequest(url: string, headers: IncomingHttpHeaders): GatewayRequest {
  const at = url.indexOf('?')
  const path = at < 0 ? url : url.slice(0, at)
  const query = new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
  if (!path.startsWith(PREFIX) || path.length > ipfsLimits.pathCharsMax) {
    throw new KairoError(
      'ERR_INVALID_INPUT',
      'the path is /ipfs/<cid>[/<name>...], and not so long',
    )
  }
  const [cid = '', ...names] = path.slice(PREFIX.length).split('/')
  const segments = names.filter((name) => name !== '').map(decodeSegment)
  if (segments.length > ipfsLimits.pathSegmentsMax) {
    throw new KairoError('ERR_INVALID_INPUT', 'the path has too many segments')
  }
  if (headers['service-worker'] !== undefined) {
    throw new KairoError('ERR_INVALID_INPUT', 'what a CID names is not run as a service worker')
  }
  const wanted = wantedFormat(query, headers.accept)
  const naming = wanted === undefined ? undefined : namingQuery(query, wanted)
  const entityBytes = readEntityBytes(query.get('entity-bytes'))
  const filename = query.get('filename')?.slice(0, gatewayLimits.filenameCharsMax)
  return {
    path,
    root: parseCid(decodeSegment(cid)),
    segments,
    wanted,
    scope: readScope(query.get('dag-scope'), entityBytes !== undefined),
    entityBytes,
    onlyIfCached: /\bonly-if-cached\b/i.test(headers['cache-control'] ?? ''),
    contentLocation: naming === undefined ? undefined : `${path}?${naming}`,
    filename: filename === '' ? undefined : filename,
  }
}

function readScope(text: string | null, isEntity: boolean): GatewayRequest['scope'] {
  if (isEntity) return 'entity'
  if (text === null) return 'all'
  if (text === 'block' || text === 'entity' || text === 'all') return text
  throw new KairoError('ERR_INVALID_INPUT', 'dag-scope is block, entity or all')
}

function readEntityBytes(text: string | null): EntityBytes | undefined {
  if (text === null) return undefined
  const [, from, to] = ENTITY_BYTES.exec(text) ?? []
  if (from === undefined || to === undefined) {
    throw new KairoError('ERR_INVALID_INPUT', 'entity-bytes is <from>:<to>, as 0:1023 or -1024:*')
  }
  const bounds: EntityBytes = { from: Number(from), to: to === '*' ? to : Number(to) }
  if (isBackwards(bounds)) {
    throw new KairoError('ERR_INVALID_INPUT', 'entity-bytes begins after its end')
  }
  return bounds
}

/** RFC 9110 14.1.1; that of two bounds from different ends depends on the file. */
function isBackwards({ from, to }: EntityBytes): boolean {
  return to !== '*' && from < 0 === to < 0 && from > to
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new KairoError('ERR_INVALID_INPUT', 'the path is not encoded as it should be', { cause })
  }
}
