/** Every message of the wire, by chance: what a correct sender may say, up to the bounds. */
import fc from 'fast-check'
import type { EdgeMessage, PageMessage } from '../../src/protocol/edge-messages.ts'
import { protocolLimits as limits } from '../../src/protocol/limits.ts'
import { firstPushNo, type MeshMessage } from '../../src/protocol/mesh-messages.ts'
import { partKey } from '../../src/protocol/part-key.ts'

const base64urlDigits = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']

const text = (digits: readonly string[], minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...digits), minLength, maxLength })
const whole = (max: number, min = 0) =>
  fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max))
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })

/** The id of a page. */
export const pageIds = text(base64urlDigits, 16, 16)
const renditions = text(base64urlDigits, 1, 24)
const sequences = whole(1e15 - 1)
const keys = fc
  .record({ rendition: renditions, sequence: sequences, part: optional(whole(9_999)) })
  .map(partKey)
const digests = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('base64url'))
const spans = whole(limits.waitMsMax)
const rates = whole(limits.bpsMax)
const lengths = whole(limits.partBytesMax)
const visible = Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at))
const tokens = (max: number) => text(visible, 1, max)
const anything = (max: number) => fc.string({ unit: 'grapheme', maxLength: max / 8 })
const list = <T>(item: fc.Arbitrary<T>, maxLength = 5) => fc.array(item, { maxLength })
const steps = fc.oneof(
  fc.record({
    type: fc.constantFrom('offer' as const, 'answer' as const),
    text: fc.string({ minLength: 1 }),
  }),
  fc.record({ type: fc.constant('candidate' as const), text: fc.string() }),
)
const held = fc.oneof(
  fc.record({ key: keys, count: fc.constant(1) }),
  fc
    .record({
      rendition: renditions,
      sequence: whole(1e15 - 1_024),
      count: whole(limits.runPartsMax, 1),
    })
    .map(({ count, ...place }) => ({ key: partKey({ ...place, part: undefined }), count })),
)

/** Leaves out what is undefined, as JSON does. */
function tidied<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return arbitrary.map((message) => JSON.parse(JSON.stringify(message)) as T)
}

/** What pages tell edges. */
export const pageMessages: fc.Arbitrary<PageMessage> = tidied<PageMessage>(
  fc.oneof(
    fc.record({
      kind: fc.constant('hello' as const),
      swarm: text([...'abc/ .ü漢😀'], 1, 60),
      ticket: optional(tokens(limits.ticketCharsMax)),
      uploadBps: rates,
      canConnect: fc.boolean(),
      session: optional(tokens(limits.sessionCharsMax)),
    }),
    fc.record({
      kind: fc.constant('state' as const),
      held: list(held),
      uploadBps: rates,
      neighbours: list(fc.record({ id: pageIds, rttMs: spans, downBps: rates })),
    }),
    fc.record({
      kind: fc.constant('want' as const),
      parts: list(fc.record({ key: keys, withinMs: spans })),
    }),
    fc.record({ kind: fc.constant('describe' as const), keys: list(keys) }),
    fc.record({
      kind: fc.constant('follow' as const),
      rendition: renditions,
      partMs: optional(whole(limits.waitMsMax, 1)),
    }),
    fc.constant({ kind: 'follow' as const }),
    fc.record({ kind: fc.constant('got' as const), key: keys, bytes: lengths, digest: digests }),
    fc.record({ kind: fc.constant('failed' as const), key: keys }),
    fc.record({ kind: fc.constant('signal' as const), to: pageIds, step: steps }),
    fc.record({
      kind: fc.constant('report' as const),
      peer: pageIds,
      reason: fc.constantFrom('bytes' as const, 'silent' as const),
      key: keys,
    }),
  ),
)

/** What edges tell pages. */
export const edgeMessages: fc.Arbitrary<EdgeMessage> = tidied<EdgeMessage>(
  fc.oneof(
    fc.record({
      kind: fc.constant('welcome' as const),
      id: pageIds,
      session: tokens(limits.sessionCharsMax),
      iceServers: list(
        fc.record({
          urls: list(fc.constantFrom('stun:a.example', 'turns:b.example:443?transport=tcp'), 3),
          username: optional(anything(99)),
          credential: optional(anything(99)),
        }),
      ),
      edges: list(fc.constantFrom('wss://a.example/swarm', 'ws://127.0.0.1:8080/swarm')),
      stateEveryMs: whole(limits.waitMsMax, limits.stateEveryMsMin),
    }),
    fc.record({ kind: fc.constant('peers' as const), connect: list(pageIds) }),
    fc.record({ kind: fc.constant('grant' as const), key: keys, forMs: spans }),
    fc.record({
      kind: fc.constant('from' as const),
      key: keys,
      peers: list(pageIds),
      isWhole: fc.boolean(),
      forMs: spans,
    }),
    fc.record({
      kind: fc.constant('tree' as const),
      rendition: renditions,
      stripes: list(
        fc.record({ parent: optional(pageIds), children: list(pageIds) }),
        limits.stripesMax,
      ),
    }),
    fc.record({
      kind: fc.constant('digests' as const),
      parts: list(fc.record({ key: keys, bytes: lengths, digest: digests })),
    }),
    fc.record({ kind: fc.constant('signal' as const), from: pageIds, step: steps }),
    fc.record({ kind: fc.constant('gone' as const), id: pageIds }),
    fc.record({
      kind: fc.constant('off' as const),
      reason: fc.constantFrom('ticket', 'full', 'unknown-swarm', 'misbehaved' as const),
      detail: anything(limits.detailCharsMax),
    }),
  ),
)

const numbers = whole(0xffff_ffff)

/** What pages tell one another on the control channel. */
export const meshMessages: fc.Arbitrary<MeshMessage> = tidied<MeshMessage>(
  fc.oneof(
    fc.record({
      kind: fc.constant('have' as const),
      parts: list(fc.record({ key: keys, bytes: optional(lengths), isWhole: fc.boolean() })),
    }),
    fc.record({ kind: fc.constant('lost' as const), keys: list(keys) }),
    fc
      .record({
        no: whole(firstPushNo - 1),
        key: keys,
        from: whole(limits.partBytesMax - 1),
        more: optional(whole(limits.partBytesMax, 1)),
      })
      .map(({ no, key, from, more }) => ({
        ...{ kind: 'ask' as const, no, key, from },
        to: more === undefined ? undefined : Math.min(from + more, limits.partBytesMax),
      })),
    fc.record({
      kind: fc.constantFrom('cancel' as const, 'ping' as const, 'pong' as const),
      no: numbers,
    }) as fc.Arbitrary<MeshMessage>,
    fc.record({
      kind: fc.constant('push' as const),
      no: whole(0xffff_ffff, firstPushNo),
      key: keys,
    }),
    fc.record({
      kind: fc.constant('end' as const),
      no: numbers,
      bytes: optional(lengths),
      isCut: fc.boolean(),
    }),
  ),
)
