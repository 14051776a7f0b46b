/** Heads of requests and answers between peers: what may stand in them, the same on both ways. */
import { KairoError } from '../../errors.ts'
import { peerHttpLimits } from '../../limits/peer-http.ts'
import type { PeerHttpRequest } from '../peer-http.ts'

/** Field that carries the code of a KairoError beside its status. */
export const CODE_FIELD = 'kairo-code'

const PATH = /^\/[\x21-\x7e]*$/
const NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/
/** RFC 9110 5.5: visible characters, spaces and tabs; bytes above ASCII are opaque. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Fields that belong to one connection (RFC 9110 7.6.1); they end here. */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding'],
  ...['upgrade', 'host', 'expect'],
])

/** Fields by lower-case name. */
export type PeerFields = Readonly<Record<string, string>>

/**
 * Checks a method and a path.
 * @throws KairoError `ERR_INVALID_INPUT`.
 */
export function checkRequestLine(method: string, path: string): PeerHttpRequest['method'] {
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
    throw new KairoError('ERR_INVALID_INPUT', 'peers ask by GET, HEAD and POST only')
  }
  if (!PATH.test(path))
    throw new KairoError('ERR_INVALID_INPUT', 'the path of a request is malformed')
  return method
}

/**
 * The fields that go on to the other peer, or came from it: without those of a connection.
 * @throws KairoError `ERR_INVALID_INPUT` for a malformed one, `ERR_LIMIT` when there are too many or they are too large.
 */
export function checkFields(fields: Iterable<readonly [string, string]>): Record<string, string> {
  // No prototype: `__proto__` is a name like any other here.
  const checked: Record<string, string> = Object.create(null) as Record<string, string>
  let bytes = 0
  let count = 0
  for (const [name, value] of fields) {
    if (CONNECTION_FIELDS.has(name)) continue
    if (!NAME.test(name) || !VALUE.test(value)) {
      throw new KairoError('ERR_INVALID_INPUT', 'a header field is malformed')
    }
    bytes += name.length + value.length
    count += 1
    if (bytes > peerHttpLimits.headBytesMax || count > peerHttpLimits.fieldsMax) {
      throw new KairoError('ERR_LIMIT', 'the head is too large')
    }
    const before = checked[name]
    checked[name] = before === undefined ? value : `${before}, ${value}`
  }
  return checked
}

/**
 * The length that a body is said to have; undefined when nothing is said.
 * @throws KairoError `ERR_INVALID_INPUT` when it is no number.
 */
export function contentLength(fields: PeerFields): number | undefined {
  const text = fields['content-length']
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) {
    throw new KairoError('ERR_INVALID_INPUT', 'the length of a body is malformed')
  }
  return Number(text)
}
