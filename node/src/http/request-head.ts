/**
 * The fast lane's strict reading of one request head. It understands plain GET and HEAD requests with headers that
 * cannot change what the request means; of everything else it says only that it does not understand it, and Node's
 * own parser decides. The rules are narrower than RFC 9112, never wider, so the two can not disagree about where a
 * request ends (request smuggling): there is no body, no folding, no bare CR or LF, no repeated framing header.
 */
import { httpLimits } from '../limits.ts'
import type { PlainRequest } from './prepared-response.ts'

/** What the lane needs to know of a request it understands. */
export interface RequestHead {
  readonly request: PlainRequest
  /** `Origin` as sent, if it was. */
  readonly origin: string | undefined
  /** False when the client asked to close the connection after the answer. */
  readonly keepAlive: boolean
}

const requestLine =
  /(GET|HEAD) (\/[A-Za-z0-9\-._~/]*)(?:\?([A-Za-z0-9\-._~!$'()*+,;:@/?&=]+))? HTTP\/1\.1\r\n/y
const headerLine = /([A-Za-z0-9-]+): ?([\x20-\x7e]+)\r\n/y
const hostValue = /^[A-Za-z0-9.\-_:[\]]+$/
const plainPath = /^\/[A-Za-z0-9\-._~/]*$/
/** A byte that no understood head holds, or a CR or LF that is not half of a line end. */
const foreignByte = /[^\r\n\x20-\x7e]|(?:^|[^\r])\n|\r[^\n]/

const HARMLESS = 0
const HOST = 1
const CONNECTION = 2
const IF_NONE_MATCH = 3
const ORIGIN = 4
const ACCEPT_ENCODING = 5
const ASKS_CACHE = 6

/** Headers that leave a plain GET what it is. A name that is not here sends the connection to Node's parser. */
const headerKinds = new Map<string, number>([
  ['host', HOST],
  ['connection', CONNECTION],
  ['if-none-match', IF_NONE_MATCH],
  ['origin', ORIGIN],
  ['accept-encoding', ACCEPT_ENCODING],
  ['cache-control', ASKS_CACHE],
  ['if-modified-since', ASKS_CACHE],
  ['pragma', ASKS_CACHE],
])
for (const name of [
  'accept',
  'accept-charset',
  'accept-language',
  'cookie',
  'dnt',
  'from',
  'priority',
  'purpose',
  'referer',
  'save-data',
  'sec-ch-ua',
  'sec-ch-ua-arch',
  'sec-ch-ua-bitness',
  'sec-ch-ua-full-version',
  'sec-ch-ua-full-version-list',
  'sec-ch-ua-mobile',
  'sec-ch-ua-model',
  'sec-ch-ua-platform',
  'sec-ch-ua-platform-version',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-storage-access',
  'sec-fetch-user',
  'sec-gpc',
  'sec-purpose',
  'upgrade-insecure-requests',
  'user-agent',
  'x-playback-session-id',
]) {
  headerKinds.set(name, HARMLESS)
}
// The usual spelling of each name is found without making a lower-case copy first.
for (const [name, kind] of [...headerKinds]) {
  headerKinds.set(
    name.replace(/(^|-)[a-z]/g, (letters) => letters.toUpperCase()),
    kind,
  )
}

/** True for a path that a {@link PlainRequest} may carry: unreserved characters, no segment that begins with a dot. */
export function isPlainPath(path: string): boolean {
  return plainPath.test(path) && !path.includes('/.')
}

/** True when bytes that are not a whole head yet can already not become one that the lane understands. */
export function isForeignStart(text: string): boolean {
  return foreignByte.test(text)
}

/**
 * Reads the heads of one connection. Clients send the same fields with every request, so fields that are byte for byte those of the
 * last head are not judged again, and a request that is repeated as a whole is the same object again.
 */
export class RequestHeadReader {
  /** What was received with the last head, when it was that head and nothing else. */
  #lastText = ''
  #last: RequestHead | undefined
  #knownBytes: Buffer | undefined
  #known: Fields | undefined

  /**
   * Reads one head. `end` is the index of the CRLF CRLF that ends it in `bytes`, of which `text` is the latin1 form. Returns
   * undefined for whatever the lane does not fully understand.
   */
  read(bytes: Buffer, text: string, start: number, end: number): RequestHead | undefined {
    if (start === 0 && text === this.#lastText) {
      return this.#last
    }
    requestLine.lastIndex = start
    const line = requestLine.exec(text)
    if (line === null || (line[2] as string).includes('/.')) {
      return undefined
    }
    const source = { text, start: requestLine.lastIndex, end: end + 2 }
    const fields = this.#fields(bytes, source)
    if (fields === undefined) {
      return undefined
    }
    const head = {
      request: new LaneRequest(line, fields, source),
      origin: fields.origin,
      keepAlive: fields.keepAlive,
    }
    if (start === 0 && end + 4 === text.length && text.length <= httpLimits.knownHeadBytesMax) {
      this.#lastText = text
      this.#last = head
    }
    return head
  }

  #fields(bytes: Buffer, { text, start, end }: FieldText): Fields | undefined {
    const known = this.#knownBytes
    const isAsLong = known !== undefined && known.length === end - start
    if (isAsLong && bytes.compare(known, 0, known.length, start, end) === 0) {
      return this.#known
    }
    const fields = parseFields(text, start, end)
    if (fields !== undefined && end - start <= httpLimits.knownHeadBytesMax) {
      this.#knownBytes = Buffer.from(bytes.subarray(start, end))
      this.#known = fields
    }
    return fields
  }
}

/** Where the fields of one head stand in the text of what was received. */
interface FieldText {
  readonly text: string
  readonly start: number
  readonly end: number
}

/** A request of the lane. Most handlers never look at most fields, so they are found only when one is asked for. */
class LaneRequest implements PlainRequest {
  readonly method: 'GET' | 'HEAD'
  readonly path: string
  readonly query: string
  readonly host: string
  readonly ifNoneMatch: string | undefined
  readonly acceptEncoding: string | undefined
  readonly asksCache: boolean
  answered: unknown
  readonly #source: FieldText

  constructor(line: RegExpExecArray, fields: Fields, source: FieldText) {
    this.method = line[1] as 'GET' | 'HEAD'
    this.path = line[2] as string
    this.query = line[3] ?? ''
    this.host = fields.host as string
    this.ifNoneMatch = fields.ifNoneMatch
    this.acceptEncoding = fields.acceptEncoding
    this.asksCache = fields.asksCache || fields.ifNoneMatch !== undefined
    this.answered = undefined
    this.#source = source
  }

  fieldNames(): readonly string[] {
    const names = new Set<string>()
    for (const [name] of fieldLines(this.#source)) names.add(name)
    return [...names]
  }

  header(name: string): string | undefined {
    let joined: string | undefined
    for (const [field, value] of fieldLines(this.#source)) {
      if (field === name) joined = joined === undefined ? value : `${joined}, ${value}`
    }
    return joined
  }
}

/** Lower-case names and trimmed values of a head that was understood. */
function* fieldLines({ text, start, end }: FieldText): Generator<[name: string, value: string]> {
  let position = start
  while (position < end) {
    const lineEnd = text.indexOf('\r\n', position)
    const colon = text.indexOf(':', position)
    yield [text.slice(position, colon).toLowerCase(), text.slice(colon + 1, lineEnd).trim()]
    position = lineEnd + 2
  }
}

interface Fields {
  host: string | undefined
  connection: string | undefined
  ifNoneMatch: string | undefined
  origin: string | undefined
  acceptEncoding: string | undefined
  keepAlive: boolean
  asksCache: boolean
}

function parseFields(text: string, start: number, end: number): Fields | undefined {
  const fields: Fields = {
    host: undefined,
    connection: undefined,
    ifNoneMatch: undefined,
    origin: undefined,
    acceptEncoding: undefined,
    keepAlive: true,
    asksCache: false,
  }
  let position = start
  while (position < end) {
    headerLine.lastIndex = position
    const match = headerLine.exec(text)
    if (match === null) {
      return undefined
    }
    position = headerLine.lastIndex
    const name = match[1] as string
    const kind = headerKinds.get(name) ?? headerKinds.get(name.toLowerCase())
    if (kind === ASKS_CACHE) {
      fields.asksCache = true
    } else if (
      kind === undefined ||
      (kind !== HARMLESS && !setField(fields, kind, match[2] as string))
    ) {
      return undefined
    }
  }
  return fields.host === undefined ? undefined : fields
}

/** Notes a header that matters; false when it repeats or its value is not one the lane understands. */
function setField(fields: Fields, kind: number, value: string): boolean {
  if (value.startsWith(' ') || value.endsWith(' ')) {
    return false
  }
  switch (kind) {
    case HOST:
      if (fields.host !== undefined || !hostValue.test(value)) {
        return false
      }
      fields.host = value.toLowerCase()
      return true
    case CONNECTION: {
      const option = value.toLowerCase()
      if (fields.connection !== undefined || (option !== 'keep-alive' && option !== 'close')) {
        return false
      }
      fields.connection = option
      fields.keepAlive = option === 'keep-alive'
      return true
    }
    case IF_NONE_MATCH:
      if (fields.ifNoneMatch !== undefined) {
        return false
      }
      fields.ifNoneMatch = value
      return true
    case ORIGIN:
      if (fields.origin !== undefined) {
        return false
      }
      fields.origin = value
      return true
    default:
      if (fields.acceptEncoding !== undefined) {
        return false
      }
      fields.acceptEncoding = value
      return true
  }
}
