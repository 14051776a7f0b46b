/** Parts by HTTP from real servers: ranges, servers that know none, answers that break off or never come. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Test, test } from 'tap'
import { Fetches } from '../../src/engine/fetches.ts'
import { engineLimits } from '../../src/engine/limits.ts'
import { PartMemory } from '../../src/memory/part-memory.ts'
import { ManualClock } from '../support/manual-clock.ts'

const body = Buffer.from(Array.from({ length: 50_000 }, (_, index) => index % 251))

interface Stage {
  readonly fetches: Fetches
  readonly memory: PartMemory
  readonly clock: ManualClock
  readonly url: string
  readonly told: string[]
  readonly ended: Promise<string>
}

async function stage(t: Test, answer: RequestListener, request?: RequestInit): Promise<Stage> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const clock = new ManualClock()
  const memory = new PartMemory({ bytesMax: 1_000_000, onEvicted: () => {} })
  const told: string[] = []
  const { promise: ended, resolve } = Promise.withResolvers<string>()
  const fetches = new Fetches(
    { clock, memory, fetch },
    {
      ...(request && { request: () => request }),
      onBytes: () => {},
      onLength: (_key, bytes) => told.push(`length ${bytes}`),
      onEnd: () => resolve('end'),
      onFailure: (_key, status, text) => resolve(`${status} ${text}`),
    },
  )
  t.teardown(() => fetches.stopAll())
  const { port } = server.address() as AddressInfo
  return { fetches, memory, clock, url: `http://127.0.0.1:${port}/part`, told, ended }
}

/** A server that knows ranges, and notes what it was asked for. */
function ranged(asked: (string | undefined)[]): RequestListener {
  return (request, response) => {
    const { range } = request.headers
    asked.push(range)
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? []
    if (from === undefined) {
      response.setHeader('content-length', body.length).end(body)
      return
    }
    const last = to ? Number(to) : body.length - 1
    response.writeHead(206, {
      'content-range': `bytes ${from}-${last}/${body.length}`,
      'content-length': last + 1 - Number(from),
    })
    response.end(body.subarray(Number(from), last + 1))
  }
}

test('a whole part, its length known before its bytes', async (t) => {
  const asked: (string | undefined)[] = []
  const { fetches, memory, url, told, ended } = await stage(t, ranged(asked))
  fetches.start({ key: 'v/1', url }, 0)
  t.ok(fetches.has('v/1'))
  t.equal(await ended, 'end')
  t.notOk(fetches.has('v/1'))
  t.strictSame(asked, [undefined], 'no range where everything is wanted')
  t.strictSame(told, ['length 50000'])
  t.same(Buffer.from(memory.join('v/1')), body)
})

test('the rest of a part', async (t) => {
  const asked: (string | undefined)[] = []
  const { fetches, memory, url, ended } = await stage(t, ranged(asked))
  memory.write('v/1', 0, body.subarray(0, 20_000), 'a-peer')
  fetches.start({ key: 'v/1', url }, 20_000)
  t.equal(await ended, 'end')
  t.strictSame(asked, ['bytes=20000-'])
  t.same(Buffer.from(memory.join('v/1')), body)
  t.strictSame(memory.bytesBy('v/1'), { http: 30_000, peers: 20_000 })
})

test('a part that is a range of a file, and the rest of one', async (t) => {
  const asked: (string | undefined)[] = []
  const { fetches, memory, url, ended, told } = await stage(t, ranged(asked))
  const source = { key: 'v/1', url, range: { from: 1_000, to: 9_000 } }
  memory.write('v/1', 0, body.subarray(1_000, 3_000))
  fetches.start(source, 2_000)
  t.equal(await ended, 'end')
  t.strictSame(asked, ['bytes=3000-8999'])
  t.strictSame(told, ['length 8000'])
  t.same(Buffer.from(memory.join('v/1')), body.subarray(1_000, 9_000))
})

test('a gap in a part, and in one that is a range', async (t) => {
  const asked: (string | undefined)[] = []
  const whole = await stage(t, ranged(asked))
  whole.memory.write('v/1', 0, body.subarray(0, 20_000), 'a-peer')
  whole.memory.write('v/1', 30_000, body.subarray(30_000), 'a-peer')
  whole.memory.setBytes('v/1', body.length)
  whole.fetches.start({ key: 'v/1', url: whole.url }, 20_000, 30_000)
  t.equal(await whole.ended, 'end')
  t.same(Buffer.from(whole.memory.join('v/1')), body)

  const part = await stage(t, ranged(asked))
  part.fetches.start({ key: 'v/1', url: part.url, range: { from: 1_000, to: 9_000 } }, 10, 20)
  t.equal(await part.ended, 'end')
  t.same(Buffer.from(part.memory.read('v/1', 10, 99)), body.subarray(1_010, 1_020))
  t.strictSame(asked, ['bytes=20000-29999', 'bytes=1010-1019'])
})

test('a server that knows no ranges', async (t) => {
  const whole: RequestListener = (_request, response) => {
    response.end(body)
  }
  const rest = await stage(t, whole)
  rest.memory.write('v/1', 0, body.subarray(0, 20_000))
  rest.fetches.start({ key: 'v/1', url: rest.url }, 20_000)
  t.equal(await rest.ended, 'end')
  t.same(Buffer.from(rest.memory.join('v/1')), body)

  const part = await stage(t, whole)
  part.fetches.start({ key: 'v/1', url: part.url, range: { from: 1_000, to: 9_000 } }, 0)
  t.equal(await part.ended, 'end')
  t.same(Buffer.from(part.memory.join('v/1')), body.subarray(1_000, 9_000))
})

test('an answer without a length has the length it turns out to have', async (t) => {
  const { fetches, memory, url, told, ended } = await stage(t, (_request, response) => {
    response.write(body.subarray(0, 100))
    response.end(body.subarray(100))
  })
  fetches.start({ key: 'v/1', url }, 0)
  t.equal(await ended, 'end')
  t.strictSame(told, ['length 50000'])
  t.same(Buffer.from(memory.join('v/1')), body)
})

test('what goes wrong is told, with what came before', async (t) => {
  const absent = await stage(t, (_request, response) => {
    response.writeHead(404).end('nothing here')
  })
  absent.fetches.start({ key: 'v/1', url: absent.url }, 0)
  t.match(await absent.ended, /^404/)

  const broken = await stage(t, (_request, response) => {
    response.setHeader('content-length', body.length)
    response.write(body.subarray(0, 1_000), () => response.destroy())
  })
  broken.fetches.start({ key: 'v/1', url: broken.url }, 0)
  t.match(await broken.ended, /^0 /)
  t.notOk(broken.memory.isComplete('v/1'))

  const refused = await stage(t, () => {})
  refused.fetches.start({ key: 'v/1', url: 'http://127.0.0.1:1/' }, 0)
  t.match(await refused.ended, /^0 /)
})

test('a server that never answers', async (t) => {
  const { promise: asked, resolve } = Promise.withResolvers<void>()
  const { fetches, url, clock, ended } = await stage(t, () => resolve())
  fetches.start({ key: 'v/1', url }, 0)
  await asked
  clock.advance(engineLimits.fetchSilentMs)
  t.match(await ended, /^0 .*nothing/)
})

test('a request that is stopped says nothing more, and can be begun again', async (t) => {
  const open = Promise.withResolvers<void>()
  let requests = 0
  const { fetches, memory, url, ended } = await stage(t, (_request, response) => {
    requests += 1
    if (requests > 1) response.end(body)
    else response.write(body.subarray(0, 1_000), () => open.resolve())
  })
  fetches.start({ key: 'v/1', url }, 0)
  await open.promise
  fetches.stop('v/1')
  t.notOk(fetches.has('v/1'))
  fetches.start({ key: 'v/1', url }, 0)
  t.equal(await ended, 'end', 'nothing was told of the first')
  t.same(Buffer.from(memory.join('v/1')), body)
})

test('requests are made as the page wants them', async (t) => {
  const { fetches, url, ended } = await stage(
    t,
    (request, response) => {
      response.writeHead(request.headers.authorization === 'Bearer x' ? 200 : 401).end(body)
    },
    { headers: { authorization: 'Bearer x' } },
  )
  fetches.start({ key: 'v/1', url }, 0)
  t.equal(await ended, 'end')
})
