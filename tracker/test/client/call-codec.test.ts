/** The bytes of the call lane: what is written is read again, and whatever else comes is refused. */
import fc from 'fast-check'
import { type Test, test } from 'tap'
import { ByteReader } from '../../src/bytes/byte-reader.ts'
import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import {
  beginFrame,
  type FrameSink,
  numberFrame,
  readFrame,
  writeAnswer,
  writeAsk,
  writeCancel,
  writeCredit,
  writeItem,
  writeRefusal,
  writeReset,
} from '../../src/client/call-frame.ts'
import {
  type CoordinationRequest,
  decodeBatch,
  decodeGranted,
  decodeItem,
  decodeLeadership,
  decodeList,
  decodeRequest,
  decodeTransacted,
  encodeBatch,
  encodeItem,
  encodeLeadership,
  encodeList,
  encodeRequest,
  encodeResult,
} from '../../src/client/coordination-codec.ts'
import type {
  KeyValue,
  Operation,
  OperationResult,
  Transaction,
  TransactionResult,
  WatchEvent,
} from '../../src/coordination.ts'
import { TrackerError } from '../../src/errors.ts'

const whole = fc.maxSafeNat()
const text = (max: number) => fc.string({ unit: 'binary', maxLength: max })
const someBytes = fc.uint8Array({ maxLength: 300 })
const token = fc.record({ term: whole, index: whole })
const leaseId = fc.option(fc.stringMatching(/^[0-9a-z-]{1,32}$/), { nil: undefined })
/** What a transaction put has its revision. */
const revisionOfAll = 77
const item: fc.Arbitrary<KeyValue> = fc.record({
  key: text(200),
  value: someBytes,
  createRevision: whole,
  modRevision: whole,
  token,
  leaseId,
})
const operationResult: fc.Arbitrary<OperationResult> = fc.oneof(
  item.map((each) => ({ type: 'put' as const, item: { ...each, modRevision: revisionOfAll } })),
  fc.record({ type: fc.constant('got' as const), item: fc.option(item, { nil: undefined }) }),
  fc.record({ type: fc.constant('deleted' as const), count: fc.nat() }),
)
const event: fc.Arbitrary<WatchEvent> = fc.oneof(
  fc.record({ type: fc.constant('put' as const), item }),
  fc.record({ type: fc.constant('deleted' as const), key: text(200) }),
)
const group = fc.nat({ max: 255 })
const name = text(60)
const request: fc.Arbitrary<CoordinationRequest> = fc.oneof(
  fc.record({ type: fc.constant('propose' as const), group, command: someBytes }),
  fc.record({ type: fc.constant('get' as const), group, keyspace: name, key: text(200) }),
  fc.record({
    type: fc.constant('list' as const),
    group,
    keyspace: name,
    prefix: text(200),
    after: fc.option(fc.string({ minLength: 1, maxLength: 20 }), { nil: undefined }),
    limit: fc.nat({ max: 1_000 }),
  }),
  fc.record({
    type: fc.constant('renew' as const),
    group,
    leaseId: fc.stringMatching(/^[0-9a-z-]{1,32}$/),
  }),
  fc.record({
    type: fc.constant('watch' as const),
    group,
    keyspace: name,
    prefix: text(200),
    after: fc.option(whole, { nil: undefined }),
  }),
  fc.constant({ type: 'follow' as const }),
)

/** A transaction that such a result may be the answer to. */
function asked({ succeeded, results }: TransactionResult): Transaction {
  const branch = results.map((result): Operation => {
    if (result.type === 'deleted') return { type: 'delete', key: 'k' }
    if (result.type === 'got') return { type: 'get', key: 'k' }
    const { key, value, leaseId: lease } = result.item
    return { type: 'put', key, value, ...(lease === undefined ? {} : { leaseId: lease }) }
  })
  return succeeded ? { then: branch } : { then: [], otherwise: branch }
}

/** For each kind of result one that it is not. */
const other: Record<OperationResult['type'], OperationResult> = {
  put: { type: 'got', item: undefined },
  got: { type: 'deleted', count: 0 },
  deleted: { type: 'got', item: undefined },
}

/** What a frame says, one line for each message. */
function describe(frame: Uint8Array): string[] {
  const lines: string[] = []
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const sink: FrameSink = {
    onHead: (session, number) => lines.push(`head ${session} ${number}`),
    onReset: (session) => lines.push(`reset ${session}`),
    onAsk: (ask) => lines.push(`ask ${ask.id} ${ask.service} ${ask.credit} ${hex(ask.payload)}`),
    onAnswer: (id, payload) => lines.push(`answer ${id} ${hex(payload)}`),
    onRefusal: (id, { code, message, leader }) =>
      lines.push(`refusal ${id} ${code} ${leader} ${message}`),
    onCancel: (id) => lines.push(`cancel ${id}`),
    onItem: (id, payload) => lines.push(`item ${id} ${hex(payload)}`),
    onCredit: (id, bytes) => lines.push(`credit ${id} ${bytes}`),
  }
  readFrame(frame, sink)
  return lines
}

/** Every cut, and many changes, of valid bytes are refused or read as something else; nothing else is thrown. */
function refuses(t: Test, valid: Uint8Array, decode: (bytes: Uint8Array) => unknown): void {
  const attempt = (bytes: Uint8Array) => {
    try {
      decode(bytes)
    } catch (error) {
      if (!(error instanceof TrackerError) || error.code !== 'ERR_MALFORMED') throw error
      return false
    }
    return true
  }
  for (let length = 0; length < valid.length; length++) {
    if (attempt(valid.slice(0, length))) t.fail(`cut to ${length} of ${valid.length} it was read`)
  }
  if (attempt(Uint8Array.from([...valid, 0]))) t.fail('with another byte it was read')
  for (let at = 0; at < valid.length; at++) {
    for (const change of [1, 0x80, 0xff]) {
      const changed = Uint8Array.from(valid)
      changed[at] = (changed[at] as number) ^ change
      attempt(changed)
    }
  }
}

test('requests are read as they were written', async (t) => {
  fc.assert(
    fc.property(request, (each) => {
      t.same(decodeRequest(encodeRequest(each)), each)
    }),
    { numRuns: 100 },
  )
  for (const each of fc.sample(request, { numRuns: 12, seed: 1 }))
    refuses(t, encodeRequest(each), decodeRequest)
})

test('answers are read as they were written', async (t) => {
  const results = fc.array(operationResult, { maxLength: 6 })
  const revision = fc.constant(revisionOfAll)
  const transacted = fc.record({ succeeded: fc.boolean(), revision, token, results })
  const list = fc.record({
    revision: whole,
    more: fc.boolean(),
    items: fc.array(item, { maxLength: 5 }),
  })
  const batch = fc.record({ revision: whole, events: fc.array(event, { maxLength: 5 }) })
  const leadership = fc.record({
    term: whole,
    peerId: fc.option(fc.string({ minLength: 1, maxLength: 60 }), { nil: undefined }),
  })
  fc.assert(
    fc.property(transacted, list, batch, fc.option(item, { nil: undefined }), (a, b, c, d) => {
      t.same(decodeTransacted(encodeResult({ type: 'transacted', ...a }), asked(a)), a)
      t.same(decodeList(encodeList(b)), b)
      t.same(decodeBatch(encodeBatch(c)), c)
      t.same(decodeItem(encodeItem(d)), d)
    }),
    { numRuns: 60 },
  )
  fc.assert(
    fc.property(group, leadership, (number, who) => {
      t.same(decodeLeadership(encodeLeadership(number, who)), { group: number, ...who })
    }),
    { numRuns: 30 },
  )
  const [a] = fc.sample(transacted, { numRuns: 1, seed: 7 })
  const [b] = fc.sample(list, { numRuns: 1, seed: 7 })
  const [c] = fc.sample(batch, { numRuns: 1, seed: 7 })
  const [d] = fc.sample(item, { numRuns: 1, seed: 7 })
  if (!(a && b && c && d)) throw new Error('there are samples')
  const bytes = encodeResult({ type: 'transacted', ...a })
  refuses(t, bytes, (each) => decodeTransacted(each, asked(a)))
  const { results: done, ...rest } = a
  t.ok(done.length > 0)
  const fewer = asked({ ...rest, results: done.slice(1) })
  t.throws(() => decodeTransacted(bytes, fewer), { code: 'ERR_MALFORMED' })
  const others = asked({ ...rest, results: done.map(({ type }) => other[type]) })
  t.throws(() => decodeTransacted(bytes, others), { code: 'ERR_MALFORMED' })
  refuses(t, encodeList(b), decodeList)
  refuses(t, encodeBatch(c), decodeBatch)
  refuses(t, encodeItem(d), decodeItem)
  refuses(t, encodeLeadership(3, { term: 9, peerId: 'peer' }), decodeLeadership)
  refuses(t, encodeResult({ type: 'granted', leaseId: '7-12', ttlMs: 1 }), decodeGranted)
})

test('a frame is read message by message', async (t) => {
  const writer = new ByteWriter(1)
  beginFrame(writer, 12)
  const last = Number.MAX_SAFE_INTEGER
  writeAsk(writer, { id: last, service: 3, credit: 4_294_967_295, payload: new Uint8Array([1, 2]) })
  writeAnswer(writer, 1, new Uint8Array())
  const leader = '12D3KooW'
  writeRefusal(writer, 2, new TrackerError('ERR_NOT_LEADER', 'somebody else', { leader }))
  writeRefusal(writer, 3, new TrackerError('ERR_STOPPED', 'ä'.repeat(2_000)))
  writeCancel(writer, 4)
  writeItem(writer, 5, new Uint8Array([9]))
  writeCredit(writer, 6, 7)
  writeReset(writer, 8)
  const frame = writer.take()
  numberFrame(frame, 4_000_000_001)
  t.same(describe(frame), [
    'head 12 4000000001',
    `ask ${last} 3 4294967295 0102`,
    'answer 1 ',
    `refusal 2 ERR_NOT_LEADER ${leader} somebody else`,
    `refusal 3 ERR_STOPPED undefined ${'ä'.repeat(170)}`,
    'cancel 4',
    'item 5 09',
    'credit 6 7',
    'reset 8',
  ])
  t.equal(writer.length, 0, 'the writer begins anew')
  t.same(describe(Buffer.from(frame)), describe(frame), 'also as a Buffer')
})

test('frames that nobody wrote are refused, however they look', async (t) => {
  const isRefused = (frame: Uint8Array) => {
    try {
      describe(frame)
    } catch (error) {
      if (!(error instanceof TrackerError) || error.code !== 'ERR_MALFORMED') throw error
      return true
    }
    return false
  }
  t.ok(isRefused(new Uint8Array()), 'nothing')
  t.ok(isRefused(Uint8Array.of(2)), 'another version')
  const id = [1, 0, 0, 0, 0, 0, 0, 0]
  const head = [1, ...id, 0, 0, 0, 0]
  t.notOk(isRefused(Uint8Array.from(head)), 'a frame that says nothing')
  t.ok(isRefused(Uint8Array.of(...head, 9, ...id)), 'another kind')
  t.ok(isRefused(Uint8Array.of(...head, 2, ...id, 255, 255, 255, 255)), 'a length beyond all')
  t.ok(isRefused(Uint8Array.of(...head, 4, 0, 0, 0, 0, 0, 0, 0, 0x20)), 'an id above 2^53')
  t.ok(isRefused(Uint8Array.of(...head, 3, ...id, 99, 0, 0, 0, 0)), 'a refusal without a reason')
  const badText = Uint8Array.of(...head, 3, ...id, 0, 1, 0, 0xff, 0, 0)
  t.ok(isRefused(badText), 'text that is not UTF-8')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      isRefused(bytes)
      isRefused(Uint8Array.from([...head, ...bytes]))
    }),
    { numRuns: 2_000 },
  )
})

test('text of any kind', async (t) => {
  for (const each of ['', 'a', 'ä', '\u{1f600}', 'x'.repeat(300), 'ä'.repeat(300), '\ufeffbom']) {
    const writer = new ByteWriter(1)
    writer.text16(each)
    t.equal(new ByteReader(writer.take()).text16(2_000), each)
  }
  const writer = new ByteWriter()
  writer.text16('too long')
  t.throws(() => new ByteReader(writer.take()).text16(3), { code: 'ERR_MALFORMED' })
})
