/**
 * What a caller asks for in its stream id: `publish:<key>`, the keyed form `#!::r=<key>,m=publish` of the SRT access
 * control guidelines, or the bare stream key.
 */
import { srtLimits } from '../../limits/srt.ts'
import { SrtRejection } from './rejection.ts'

/** Modes before a colon that mean playing, in the habits of several servers. */
const PLAY_MODES = new Set(['request', 'read', 'play', 'subscribe'])
const KEYED = '#!::'
const KEYED_NESTED = '#!:'

/**
 * The stream key that a caller wants to publish with.
 * @throws SrtRejection `unauthorized` without a key, `bad-mode` for a player, `bad-request` for a form nobody knows.
 */
export function streamKeyOf(streamId: string): string {
  if (streamId.length > srtLimits.streamIdCharsMax) {
    throw new SrtRejection('bad-request', 'the stream id is too long')
  }
  const text = unescaped(streamId)
  const key = text.startsWith(KEYED_NESTED) ? keyedKey(text) : plainKey(text)
  if (key === '') {
    throw new SrtRejection(
      'unauthorized',
      'the caller gives no stream key: set the stream id to publish:<stream key>',
    )
  }
  return key
}

/** Some callers pass their address's escapes on: `publish%3A…`, `%23!::…`. Neither is the beginning of a stream key. */
function unescaped(streamId: string): string {
  if (!/^(?:[a-z]+%3A|%23)/i.test(streamId)) return streamId
  try {
    return decodeURIComponent(streamId)
  } catch {
    throw new SrtRejection('bad-request', 'the stream id has broken escapes')
  }
}

function plainKey(streamId: string): string {
  const colon = streamId.indexOf(':')
  const mode = colon < 0 ? undefined : streamId.slice(0, colon).toLowerCase()
  if (mode !== undefined && PLAY_MODES.has(mode)) refusePlaying()
  const rest = mode === 'publish' ? streamId.slice(colon + 1) : streamId
  return rest.split('?', 1)[0] ?? ''
}

function keyedKey(streamId: string): string {
  if (!streamId.startsWith(KEYED)) {
    throw new SrtRejection('bad-request', 'the stream id has a keyed form other than #!::')
  }
  const fields = new Map<string, string>()
  for (const pair of streamId.slice(KEYED.length).split(',')) {
    const equals = pair.indexOf('=')
    if (equals > 0) fields.set(pair.slice(0, equals).trim(), pair.slice(equals + 1))
  }
  // The guidelines say that a caller without a mode wants to receive.
  const mode = fields.get('m') ?? 'request'
  if (mode === 'request' || mode === 'bidirectional') refusePlaying()
  if (mode !== 'publish') {
    throw new SrtRejection('bad-request', 'the stream id asks for an unknown mode')
  }
  return fields.get('r') ?? ''
}

function refusePlaying(): never {
  throw new SrtRejection(
    'bad-mode',
    'the caller wants to receive; over SRT this peer takes publishers only: publish:<stream key> or #!::r=<stream key>,m=publish',
  )
}
