/** Header fields as Node's parser read them, name by name and value by value, in the terms of the cache. */
import { KairoError } from '../../errors.ts'
import { httpOriginLimits as limits } from '../../limits/cdn-origins.ts'
import type { Fields } from '../message.ts'

/** Fields about one connection, which end with it (RFC 9110 7.6.1); `Connection` may name more. */
const connectionFields = [
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
]

/**
 * The end-to-end fields of a response. Node's own object is no choice: of a field that comes twice it drops all but the first
 * where it knows the field, and then says nothing of it.
 * @throws KairoError `ERR_PROTOCOL` for too many fields, or a body that is coded for the transfer in a way that nobody asked for.
 */
export function endToEndFields(raw: readonly string[]): Fields {
  if (raw.length / 2 > limits.headFieldsMax) {
    throw new KairoError('ERR_PROTOCOL', 'the origin sent too many header fields')
  }
  const fields = new Map<string, string>()
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as string).toLowerCase()
    const value = raw[index + 1] as string
    const before = fields.get(name)
    const separator = name === 'set-cookie' ? '\n' : ', '
    fields.set(name, before === undefined ? value : `${before}${separator}${value}`)
  }
  const coding = fields.get('transfer-encoding')
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') {
    throw new KairoError('ERR_PROTOCOL', 'the origin sent a transfer coding that is not understood')
  }
  const nominated = (fields.get('connection') ?? '').toLowerCase().split(',')
  for (const name of [...connectionFields, ...nominated]) fields.delete(name.trim())
  return Object.fromEntries(fields)
}
