/**
 * Random and mutated requests, each sent to the fast lane and to Node's parser behind it (an empty line in front picks it):
 * the answers must be the same bytes, so the lane either reads a request exactly as Node does or leaves it to Node.
 */
import fc from 'fast-check'
import { t as root, test } from 'tap'
import type { PlainHandler } from '../../src/http/prepared-response.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import {
  metric,
  normalised,
  plainAnswer,
  RawClient,
  startTestServer,
  stopTestServer,
} from '../support/http-exchange.ts'

// Longer than the runner's 30 s, for busy machines.
root.setTimeout(300_000)

const samples = fuzzRuns(4_000)
const parallel = 200
/** A request that waits for more bytes is answered when its client closes its half after this. */
const quietMs = 250

const handler: PlainHandler = (request) => {
  if (request.path.startsWith('/live')) {
    return plainAnswer(JSON.stringify(request), { etag: '"1"' })
  }
  return request.path === '/end' ? plainAnswer('the end') : undefined
}

const word = fc.constantFrom('GET', 'HEAD', 'POST', 'get', 'OPTIONS', 'PUT', 'G', 'GETT', '')
const target = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('/live', '/live/a_b-c~1.m3u8?_HLS_msn=1', '/live?x=', '/none'),
  },
  fc.constantFrom(
    '/live/../x',
    '/live%20',
    '*',
    'http://a/live',
    '//live',
    '/live#x',
    '/li ve',
    '',
    '/live?a=%zz',
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 12 }).map((text) => `/live${text}`),
)
const version = fc.oneof(
  { weight: 12, arbitrary: fc.constant('HTTP/1.1') },
  fc.constantFrom('HTTP/1.0', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ', 'HTTP/11', ''),
)
const name = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      'Accept',
      'User-Agent',
      'COOKIE',
      'origin',
      'Referer',
      'If-None-Match',
      'Connection',
      'Host',
      'Accept-Encoding',
      'sec-fetch-mode',
      'Pragma',
      'X-Playback-Session-Id',
    ),
  },
  fc.constantFrom(
    'Content-Length',
    'Transfer-Encoding',
    'Range',
    'Expect',
    'X-Other',
    'Keep-Alive',
    'TE',
    '',
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 6 }),
)
const value = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      'a',
      'close',
      'keep-alive',
      '"1"',
      '*/*',
      'gzip, br',
      'http://b',
      'localhost:80',
      'bytes=0-3',
      '0',
      '5',
      'chunked',
      'Keep-Alive',
      'a, close',
    ),
  },
  fc.string({ unit: 'binary', maxLength: 10 }),
  fc.constantFrom('', ' ', ' a', 'a ', '\ta', 'a\r\n b', 'a\rb', 'a\nb', 'a\0b', '\x7f', '\xe9'),
)
const separator = fc.oneof(
  { weight: 12, arbitrary: fc.constant(': ') },
  fc.constantFrom(':', ' : ', ':  ', '', ':\t'),
)
const lineEnd = fc.oneof(
  { weight: 40, arbitrary: fc.constant('\r\n') },
  fc.constantFrom('\n', '\r', '\r\r\n', ''),
)
const header = fc.tuple(name, separator, value, lineEnd).map((parts) => parts.join(''))
const request = fc
  .tuple(
    fc.oneof({ weight: 8, arbitrary: fc.constantFrom('GET', 'HEAD') }, word),
    target,
    version,
    lineEnd,
    fc.oneof({ weight: 9, arbitrary: fc.constant('Host: a\r\n') }, fc.constant('')),
    fc.array(header, { maxLength: 5 }),
    lineEnd,
  )
  .map(
    ([method, path, proto, end, host, headers, tail]) =>
      `${method} ${path} ${proto}${end}${host}${headers.join('')}${tail}`,
  )
/** What the lane is for. */
const tidy = fc
  .tuple(
    fc.constantFrom('GET', 'HEAD'),
    fc.constantFrom('/live', '/live/a_b-c~1.m3u8?_HLS_msn=1', '/live?x='),
    fc.uniqueArray(
      fc.constantFrom(
        'Accept: */*',
        'User-Agent: b',
        'origin: http://b',
        'If-None-Match: "1"',
        'cookie: c=d',
      ),
      { maxLength: 4 },
    ),
  )
  .map(
    ([method, path, headers]) =>
      `${[`${method} ${path} HTTP/1.1`, 'Host: a', ...headers].join('\r\n')}\r\n\r\n`,
  )
/** One byte replaced, removed or doubled. */
const mutated = fc
  .tuple(fc.oneof(request, tidy), fc.nat(), fc.nat(255), fc.nat(3))
  .map(([text, at, byte, how]) => {
    const index = at % (text.length + 1)
    const insert = [
      String.fromCharCode(byte),
      '',
      text.slice(index, index + 1).repeat(2),
      text.slice(index, index + 1),
    ]
    return text.slice(0, index) + insert[how] + text.slice(index + 1)
  })
const input = fc
  .array(fc.oneof(request, mutated, tidy), { minLength: 1, maxLength: 3 })
  .map((requests) => requests.join(''))

const end = 'GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

async function answerTo(port: number, bytes: string): Promise<string> {
  const client = await RawClient.connect(port)
  client.send(bytes + end)
  const timer = setTimeout(() => client.socket.end(), quietMs)
  const text = await client.closed()
  clearTimeout(timer)
  client.socket.destroy()
  return normalised(text)
}

/** What is said behind bytes that are no request, of another version, or ask for a tunnel. */
const refusal = /HTTP\/1\.1 (400|501|505) [^\r]+\r\n[\s\S]*"ERR_(PROTOCOL|INVALID_INPUT)"[\s\S]*$/

/**
 * Equal bytes, save for what Node does with requests it has read ahead: when it refuses one, it drops answers to earlier ones
 * that it still held, and it refuses even behind a request that asked to close. The lane reads one request at a time, so
 * there the answers of one must begin those of the other.
 */
function agree(lane: string, node: string): boolean {
  if (lane === node) {
    return true
  }
  if (!refusal.test(node)) {
    return false
  }
  const [ours, theirs] = [lane.replace(refusal, ''), node.replace(refusal, '')]
  return ours.startsWith(theirs) || theirs.startsWith(ours)
}

test('the lane and Node give the same answers', { timeout: 300_000 }, async (t) => {
  const started = await startTestServer({ plainHandlers: [handler] })
  t.teardown(() => stopTestServer(started))
  const seed = Number(process.env.KAIRO_FUZZ_SEED ?? Date.now() % 1_000_000)
  const inputs = fc.sample(input, { numRuns: samples, seed })
  const different: string[] = []
  let next = 0
  const work = async () => {
    for (let index = next++; index < inputs.length; index = next++) {
      const bytes = inputs[index] as string
      const lane = await answerTo(started.port, bytes)
      const node = await answerTo(started.port, `\r\n${bytes}`)
      if (!agree(lane, node)) {
        different.push(JSON.stringify({ bytes, lane, node }))
      }
    }
  }
  await Promise.all(Array.from({ length: parallel }, work))
  t.same(different.slice(0, 3), [], `seed ${seed}: ${different.length} of ${samples} differ`)
  const answers = await metric(started.registry, 'kairo_http_lane_answers_total', { status: '200' })
  const handed = await metric(started.registry, 'kairo_http_lane_handed_over_total')
  t.ok(answers > samples / 4, `the lane answered ${answers}, handed over ${handed}`)
  t.ok(handed > samples, 'both ways were taken')
})
