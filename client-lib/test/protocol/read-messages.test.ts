/** The readers of messages: what a correct sender says comes through unchanged, and from anything else nothing comes but a ProtocolError. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { protocolLimits as limits } from '../../src/protocol/limits.ts'
import { ProtocolError } from '../../src/protocol/protocol-error.ts'
import { readEdgeMessage } from '../../src/protocol/read-edge-message.ts'
import { readMeshMessage } from '../../src/protocol/read-mesh-message.ts'
import { readPageMessage } from '../../src/protocol/read-page-message.ts'
import { writeMessage } from '../../src/protocol/write-message.ts'
import { edgeMessages, meshMessages, pageMessages } from '../support/arbitrary-messages.ts'

/** Inputs of one property; more of them where a run is to look harder. */
const numRuns = 300 * Number(process.env.KAIRO_FUZZ_RUNS ?? 1)

const wires = [
  {
    name: 'page',
    read: readPageMessage,
    messages: pageMessages,
    charsMax: limits.edgeMessageCharsMax,
  },
  {
    name: 'edge',
    read: readEdgeMessage,
    messages: edgeMessages,
    charsMax: limits.edgeMessageCharsMax,
  },
  {
    name: 'mesh',
    read: readMeshMessage,
    messages: meshMessages,
    charsMax: limits.meshMessageCharsMax,
  },
] as const

type Read = (text: string) => object | undefined

/** What was read, or that it was refused as agreed; anything else that is thrown passes through. */
function tryReading(read: Read, text: string): object | 'refused' | undefined {
  try {
    return read(text)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    if (error.message.length > 60) throw new Error('a long text', { cause: error })
    return 'refused'
  }
}

/** Texts of JSON numbers that are none of the wire's; `1e999` is read as infinity. */
const badNumbers = [
  '-1',
  '0.5',
  '1e999',
  '-1e999',
  '1e21',
  '9007199254740993',
  'null',
  '"1"',
  '[1]',
  'true',
]

interface Leaf {
  readonly path: readonly (string | number)[]
  readonly value: unknown
}

function leavesOf(value: unknown, path: readonly (string | number)[] = []): Leaf[] {
  if (typeof value !== 'object' || value === null) return [{ path, value }]
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return [
    ...(path.length > 0 ? [{ path, value }] : []),
    ...entries.flatMap(([name, item]) => leavesOf(item, [...path, name])),
  ]
}

/** The text of a message with something else in one place. */
function replaced(message: object, path: readonly (string | number)[], json: string): string {
  const copy = JSON.parse(JSON.stringify(message))
  const parent = path.slice(0, -1).reduce((at, name) => at[name], copy)
  parent[path.at(-1) as string] = '#HERE#'
  return JSON.stringify(copy).replace('"#HERE#"', () => json)
}

/** That whatever came out is made of what the wire has: whole numbers, plain objects, short lists. */
function isSound(value: unknown): boolean {
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)
  if (typeof value !== 'object') return ['string', 'boolean'].includes(typeof value)
  if (value === null) return false
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== (Array.isArray(value) ? Array.prototype : Object.prototype)) return false
  return Object.entries(value).every(([name, item]) => !name.startsWith('_') && isSound(item))
}

for (const { name, read, messages, charsMax } of wires) {
  test(`${name}: what is written is read`, async (t) => {
    const seen = new Set<string>()
    const property = fc.property(messages, (message) => {
      seen.add(message.kind)
      const found = read(writeMessage(message))
      assert.deepEqual(found, message)
      const later = { ...message, later: { a: [1] }, ['__proto__' as string]: 1 }
      return JSON.stringify(read(JSON.stringify(later))) === JSON.stringify(found)
    })
    fc.assert(property, { numRuns })
    t.ok(seen.size >= 6, 'of every kind')
  })

  test(`${name}: a number, text, truth or list is never another thing`, async () => {
    const property = fc.property(messages, fc.nat(), fc.nat(), (message, which, how) => {
      const leaves = leavesOf(message).filter(({ path }) => path[0] !== 'kind')
      const leaf = leaves[which % leaves.length]
      if (leaf === undefined) return true
      const others: Record<string, readonly string[]> = {
        number: badNumbers,
        string: ['1', 'null', 'true', '[]', '{}', '["a"]'],
        boolean: ['0', '1', 'null', '"true"', '[]'],
        object: ['0', 'null', '"a"', 'true', Array.isArray(leaf.value) ? '{"length":0}' : '[]'],
      }
      const choices = others[typeof leaf.value] as readonly string[]
      const text = replaced(message, leaf.path, choices[how % choices.length] as string)
      return tryReading(read, text) === 'refused'
    })
    fc.assert(property, { numRuns })
  })

  test(`${name}: nothing but a message comes of what is nearly one`, async () => {
    const spoiled = [
      '""',
      '"__proto__"',
      '"a/1"',
      '"\\ud800"',
      '{}',
      '[]',
      '-0',
      '4294967296',
      '1e15',
      '[[]]',
    ]
    const property = fc.property(
      messages,
      fc.nat(),
      fc.constantFrom(...spoiled, ...badNumbers, 'undefined', '{"__proto__":{"key":"a/1"}}'),
      (message, which, json) => {
        const leaves = leavesOf(message)
        const { path } = leaves[which % leaves.length] as Leaf
        const found = tryReading(read, replaced(message, path, json))
        if (found === undefined || found === 'refused') return true
        assert.deepEqual(read(JSON.stringify(found)), found)
        return isSound(found)
      },
    )
    fc.assert(property, { numRuns })
  })

  test(`${name}: any text is read or refused`, async () => {
    const cut = fc
      .tuple(messages, fc.nat(), fc.nat(), fc.string({ maxLength: 3 }))
      .map(([message, from, count, put]) => {
        const text = writeMessage(message)
        const at = from % text.length
        return text.slice(0, at) + put + text.slice(at + (count % 4))
      })
    const json = fc.json().map((text) => `{"kind":"have","parts":${text},"key":${text}}`)
    const property = fc.property(fc.oneof(cut, json, fc.json(), fc.string()), (text) => {
      const found = tryReading(read, text)
      return found === undefined || found === 'refused' || isSound(found)
    })
    fc.assert(property, { numRuns })
  })

  test(`${name}: kinds of later versions are skipped, what has no kind is not`, async (t) => {
    for (const kind of ['later', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '']) {
      t.equal(read(JSON.stringify({ kind })), undefined, kind)
    }
    const none = ['{}', '[]', 'null', '1', '"kind"', '', '{', '{"kind":1}', '{"kind":["have"]}']
    for (const text of [...none, '{"__proto__":{"kind":"later"}}', '[{"kind":"later"}]']) {
      t.equal(tryReading(read, text), 'refused', text)
    }
    t.equal(tryReading(read, '['.repeat(charsMax)), 'refused', 'deep')
    const long = (extra: number): string => {
      const text = '{"kind":"later"}'
      return text + ' '.repeat(charsMax - text.length + extra)
    }
    t.equal(tryReading(read, long(0)), undefined)
    t.equal(tryReading(read, long(1)), 'refused', 'a character too long')
    t.equal(tryReading(read as Read, new ArrayBuffer(3) as never), 'refused', 'binary')
  })
}

test('lists and runs have bounds', async (t) => {
  const many = <T>(count: number, item: T): T[] => new Array(count).fill(item)
  const key = 'm720_abc/12'
  const id = 'a'.repeat(16)
  const cases: [Read, (count: number) => object, number][] = [
    [readPageMessage, (count) => ({ kind: 'want', parts: many(count, { key, withinMs: 1 }) }), 256],
    [readPageMessage, (count) => state({ held: many(count, { key, count: 1 }) }), 256],
    [readPageMessage, (count) => state({ held: [{ key, count }] }), 1_024],
    [readPageMessage, (count) => state({ held: [{ key: `${key}.3`, count }] }), 1],
    [readPageMessage, (count) => state({ held: [{ key: 'm/999999999999999', count }] }), 1],
    [
      readPageMessage,
      (count) => state({ neighbours: many(count, { id, rttMs: 1, downBps: 1 }) }),
      64,
    ],
    [readEdgeMessage, (count) => ({ kind: 'peers', connect: many(count, id) }), 64],
    [
      readEdgeMessage,
      (count) => ({ kind: 'tree', rendition: 'm', stripes: many(count, { children: [] }) }),
      16,
    ],
    [readMeshMessage, (count) => ({ kind: 'lost', keys: many(count, key) }), 256],
    [
      readMeshMessage,
      (count) => ({ kind: 'have', parts: many(count, { key, isWhole: true }) }),
      256,
    ],
  ]
  for (const [read, make, max] of cases) {
    t.match(tryReading(read, JSON.stringify(make(max))), { kind: String })
    t.equal(tryReading(read, JSON.stringify(make(max + 1))), 'refused')
  }
})

test('texts are what they have to be', async (t) => {
  const hello = { kind: 'hello', swarm: 'a', uploadBps: 0, canConnect: true }
  const refuse = (read: Read, message: object): void => {
    t.equal(
      tryReading(read, JSON.stringify(message)),
      'refused',
      JSON.stringify(message).slice(0, 99),
    )
  }
  for (const swarm of ['', 'x'.repeat(257), 'a\nb', 'a\0', '\ud800']) {
    refuse(readPageMessage, { ...hello, swarm })
  }
  for (const ticket of ['', 'a b', 'ü', 'x'.repeat(2_049)])
    refuse(readPageMessage, { ...hello, ticket })
  for (const key of [
    'm/1/',
    'm/01',
    'm/-1',
    'm/1.',
    'm/1.01',
    '/1',
    'm/1\n',
    `${'m'.repeat(25)}/1`,
    'm/1e3',
    'ü/1',
  ]) {
    refuse(readPageMessage, { kind: 'failed', key })
  }
  const digest = 'A'.repeat(43)
  t.match(readPageMessage(JSON.stringify({ kind: 'got', key: 'm/1', bytes: 1, digest })), {
    digest,
  })
  for (const wrong of [
    digest.slice(1),
    `${digest}A`,
    `${digest.slice(1)}B`,
    `${digest.slice(1)}=`,
  ]) {
    refuse(readPageMessage, { kind: 'got', key: 'm/1', bytes: 1, digest: wrong })
  }
  const offer = { kind: 'signal', to: 'a'.repeat(16), step: { type: 'offer', text: '' } }
  refuse(readPageMessage, { kind: 'follow', rendition: 'm', partMs: 0 })
  refuse(readPageMessage, offer)
  refuse(readPageMessage, { ...offer, to: 'a'.repeat(17) })
  refuse(readPageMessage, { ...offer, step: { type: 'rollback', text: 'v=0' } })
  refuse(readPageMessage, { ...offer, step: { type: 'candidate', text: 'x'.repeat(16_385) } })
  const last = { ...offer, step: { type: 'candidate', text: '' } }
  t.strictSame(readPageMessage(JSON.stringify(last)), last)
  const welcome = {
    kind: 'welcome',
    id: 'a'.repeat(16),
    session: 's',
    iceServers: [],
    edges: [],
    stateEveryMs: 5_000,
  }
  for (const url of ['http://a', 'javascript:1', 'ws://', 'wss://a b', 'x'.repeat(2_000)]) {
    refuse(readEdgeMessage, { ...welcome, edges: [url] })
    refuse(readEdgeMessage, { ...welcome, iceServers: [{ urls: [url] }] })
  }
  refuse(readEdgeMessage, { ...welcome, stateEveryMs: 1 })
  refuse(readMeshMessage, { kind: 'ask', no: 1, key: 'm/1', from: 5, to: 5 })
  refuse(readMeshMessage, { kind: 'ask', no: 2 ** 31, key: 'm/1', from: 5 })
  refuse(readMeshMessage, { kind: 'push', no: 2 ** 31 - 1, key: 'm/1' })
})

test('what is measured is written as the wire has it', async (t) => {
  const neighbour = { id: 'a'.repeat(16), rttMs: 1.4, downBps: Number.POSITIVE_INFINITY }
  const written = writeMessage({
    ...state({ neighbours: [neighbour] }),
    uploadBps: Number.NaN,
  } as never)
  t.match(readPageMessage(written), {
    uploadBps: 0,
    neighbours: [{ rttMs: 1, downBps: limits.bpsMax }],
  })
  const parts = [-5, 99.5, 1e9].map((withinMs) => ({ key: 'm/1', withinMs }))
  t.match(readPageMessage(writeMessage({ kind: 'want', parts })), {
    parts: [{ withinMs: 0 }, { withinMs: 100 }, { withinMs: limits.waitMsMax }],
  })
})

function state(more: object): object {
  return { kind: 'state', held: [], uploadBps: 0, neighbours: [], ...more }
}
