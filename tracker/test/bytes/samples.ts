/** One message of each kind that the tracker writes, made through the rooms that write them: what golden.test.ts holds against its file. */

import { ByteWriter } from '../../src/bytes/byte-writer.ts'
import { CallLane } from '../../src/client/call-lane.ts'
import {
  encodeBatch,
  encodeItem,
  encodeLeadership,
  encodeList,
  encodeRequest,
  encodeResult,
} from '../../src/client/coordination-codec.ts'
import { encodeSoftRequest } from '../../src/client/soft-request.ts'
import type { KeyValue } from '../../src/coordination.ts'
import { encodeBulk } from '../../src/driver/bulk-codec.ts'
import { encodeAddresses, encodeState } from '../../src/driver/directory.ts'
import { PeerLine } from '../../src/driver/peer-line.ts'
import { TrackerError } from '../../src/errors.ts'
import { createMessage, type Message } from '../../src/raft/types.ts'
import { encodeCounter, encodePresence, encodeRoster } from '../../src/region/member-record.ts'
import { encodeFacts } from '../../src/region/region-facts.ts'
import {
  encodeChangeRequest,
  encodeDismissal,
  encodeHello,
  encodeInvitation,
  encodeJoinAnswer,
  encodeJoinRequest,
  encodeOffer,
  encodeReport,
  encodeSeat,
  encodeTransferRequest,
} from '../../src/region/region-messages.ts'
import { FeederLine } from '../../src/soft/feeder-line.ts'
import { HeldParts } from '../../src/soft/held-parts.ts'
import { encodeQuestions, encodeReplies } from '../../src/soft/questions.ts'
import { SoftShard } from '../../src/soft/soft-shard.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** Messages by name; a lane's frames leave in a later turn. */
export async function samples(): Promise<Record<string, Uint8Array>> {
  const { ask, replies } = await callFrames()
  return { ...raftFrames(), ...coordination(), ...region(), ...soft(), ask, replies }
}

const large = Number.MAX_SAFE_INTEGER
const data = Uint8Array.from({ length: 40 }, (_, index) => index * 7)

function raftFrames(): Record<string, Uint8Array> {
  const frame = (messages: readonly Message[]): Uint8Array => {
    let sent = new Uint8Array(0)
    const counters = { framesSent: 0, framesRefused: 0, messagesSent: 0 }
    const pace = { electionMs: 250 } as PeerLineContext['pace']
    const send = (_peerId: string, _lane: string, bytes: Uint8Array): boolean => {
      sent = Uint8Array.from(bytes)
      return true
    }
    const line = new PeerLine({ region: 0xfeed_beef, memberId: 3, pace, send, counters }, 'b')
    const head = { region: 0xfeed_beef, from: 9, to: 3, electionMs: 300, stamp: 77 }
    line.hear({ ...head, echo: undefined, heldMicros: 0 }, 10)
    for (const message of messages) line.add(message.type === 'MsgApp' ? 300 : 5, message, 20)
    line.flush(20)
    return sent
  }
  const base = { to: 9, from: 3, term: 5 }
  const entry = (term: number, index: number, bytes: Uint8Array) =>
    ({ term, index, type: 'EntryNormal', data: bytes }) as const
  const confState = {
    ...{ voters: [1, 2, 1_000], votersOutgoing: [1], learners: [large], learnersNext: [] },
    autoLeave: true,
  }
  const bulk = { region: 7, from: 1, to: large, transfer: 0xffff_fff0 }
  const addresses = [
    { memberId: 1, peerId: '12D3KooWpeer' },
    { memberId: large, peerId: 'pèer' },
  ]
  return {
    raft: frame([
      createMessage({ ...base, type: 'MsgHeartbeat', commit: 2 ** 31, context: 128 }),
      createMessage({
        ...base,
        type: 'MsgAppResp',
        index: large,
        reject: true,
        rejectHint: 2 ** 28,
      }),
      createMessage({
        ...{ ...base, type: 'MsgApp', logTerm: 3, index: 9, commit: 8 },
        entries: [entry(3, 10, data), entry(300, 11, new Uint8Array(0))],
      }),
    ]),
    piece: encodeBulk({
      ...{ kind: 'piece', ...bulk, offset: 16_384, crc: 0x8000_0001, data },
      title: { group: 12, messageTerm: 5, index: 99, term: 4, confState, bytes: 4_000 },
    }),
    receipt: encodeBulk({ kind: 'receipt', ...bulk, received: 2 ** 40, status: 'refused' }),
    addresses: encodeAddresses(addresses),
    state: encodeState(addresses, data),
  }
}

type PeerLineContext = ConstructorParameters<typeof PeerLine>[0]

async function callFrames(): Promise<{ ask: Uint8Array; replies: Uint8Array }> {
  const clock = new ManualClock()
  const sent: { from: string; frame: Uint8Array }[] = []
  const lane = (peerId: string): CallLane => {
    const send = (_to: string, _lane: string, frame: Uint8Array): boolean => {
      sent.push({ from: peerId, frame: Uint8Array.from(frame) })
      return true
    }
    return new CallLane({ transport: { peerId, send }, clock, random: () => 0.25 })
  }
  const [asker, answerer] = [lane('a'), lane('b')]
  answerer.serve(1, (call) => {
    if (call.isStream) call.item(data)
    else if (call.payload.length > 1) call.answer(call.payload)
    else call.refuse(new TrackerError('ERR_NOT_LEADER', 'gehe weiter → c', { leader: 'c' }))
  })
  asker.ask('b', 1, data, { timeoutMs: 1_000 }).catch(() => {})
  asker.ask('b', 1, data.subarray(0, 1), { timeoutMs: 1_000 }).catch(() => {})
  const stream = asker.open('b', 1, new Uint8Array(0), { onItem: () => {}, onEnd: () => {} })
  stream.credit(70_000)
  await new Promise((resolve) => setImmediate(resolve))
  const ask = joined(sent.splice(0))
  for (const frame of ask.frames) answerer.onFrame('a', frame)
  await new Promise((resolve) => setImmediate(resolve))
  const replies = joined(sent.splice(0))
  asker.stop()
  answerer.stop()
  return { ask: ask.bytes, replies: replies.bytes }
}

function joined(sent: readonly { frame: Uint8Array }[]): {
  frames: Uint8Array[]
  bytes: Uint8Array
} {
  const frames = sent.map(({ frame }) => frame)
  return { frames, bytes: Uint8Array.from(frames.flatMap((frame) => [...frame])) }
}

function coordination(): Record<string, Uint8Array> {
  const item: KeyValue = {
    ...{ key: 'streams/größer', value: data, createRevision: 7, modRevision: 2 ** 40 },
    ...{ token: { term: 3, index: large }, leaseId: '3-12' },
  }
  const bare = { ...item, leaseId: undefined, value: new Uint8Array(0) }
  const results = [
    { type: 'put', item },
    { type: 'deleted', count: 70_000 },
    { type: 'got', item },
    { type: 'got', item: undefined },
  ] as const
  const { token } = item
  const own = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes)
  const get = { type: 'get', group: 4, keyspace: 'stream/a', key: 'owner' } as const
  const list = { type: 'list', group: 16, keyspace: 'k', prefix: '' } as const
  const watch = { type: 'watch', group: 1, keyspace: 'k', prefix: 'p/' } as const
  return {
    propose: encodeRequest({ type: 'propose', group: 2, command: data }, 2 ** 52 - 1),
    get: encodeRequest(get, 1),
    list: encodeRequest({ ...list, after: 'ab', limit: 1_000 }),
    renew: encodeRequest({ type: 'renew', group: 2, leaseId: '3-12' }),
    watch: encodeRequest({ ...watch, after: 900 }),
    follow: encodeRequest({ type: 'follow' }, 5),
    transacted: own(
      encodeResult({ type: 'transacted', succeeded: true, revision: 8, token, results }),
    ),
    granted: own(encodeResult({ type: 'granted', leaseId: '3-12', ttlMs: 9_000 })),
    item: own(encodeItem(item)),
    noItem: own(encodeItem(undefined)),
    keyList: own(encodeList({ revision: 8, items: [item, bare], more: true })),
    watchBatch: own(
      encodeBatch({
        revision: 8,
        events: [
          { type: 'put', item },
          { type: 'deleted', key: 'b' },
        ],
      }),
    ),
    leadership: own(encodeLeadership(16, { term: 2 ** 33, peerId: 'c' })),
  }
}

function region(): Record<string, Uint8Array> {
  const regionId = '0123456789abcdef'.repeat(2).slice(0, 32)
  const hello = {
    ...{ name: 'föhr', contacts: ['a', '12D3KooWpeer'] },
    region: { regionId, memberCount: 5, foundedAtMs: 1_700_000_000_000, hasQuorum: true },
  }
  const facts = {
    ...{ regionId, name: 'föhr', foundedAtMs: 1_700_000_000_000, memberId: 12, incarnation: 3 },
    contacts: ['a', 'b'],
  }
  const addresses = [{ memberId: 2 ** 40, peerId: 'b' }]
  const members = { voters: [1, 2], votersOutgoing: [], learners: [3], learnersNext: [] }
  const report = {
    ...{ group: 16, seat: 99, term: 4, leader: 2, isLeader: true, commit: 1_000, applied: 998 },
    ...{ members, progress: [{ memberId: 2, match: 997, isActive: false }] },
  }
  const presence = {
    ...{ peerId: 'b', incarnation: 2, sinceMs: 1_700_000_000_123, isReachable: true },
    ...{ isLeaving: false, load: 0.25, roles: ['ingest', 'gpu'] },
  }
  return {
    counter: encodeCounter(2 ** 45),
    roster: encodeRoster({ peerId: 'b', incarnation: 300 }),
    presence: encodePresence(presence),
    facts: encodeFacts(facts),
    hello: encodeHello(hello),
    join: encodeJoinRequest({ regionId, hello: { ...hello, region: undefined } }),
    joined: encodeJoinAnswer({ admitted: true, facts }),
    notJoined: encodeJoinAnswer({ admitted: false, reason: 'busy' }),
    invitation: encodeInvitation({ regionId, group: 3, addresses }),
    dismissal: encodeDismissal({ regionId, group: 3, seat: 2 ** 33 }),
    change: encodeChangeRequest({
      ...{ regionId, group: 3, addresses },
      changes: [{ type: 'ConfChangeAddLearnerNode', nodeId: 9 }],
    }),
    transfer: encodeTransferRequest({ regionId, group: 0, to: 5 }),
    report: encodeReport({ memberId: 2, groups: [report] }),
    seat: encodeSeat(17),
    offer: encodeOffer({ regionId, keys: [{ key: 'config/a', value: data }] }),
  }
}

function soft(): Record<string, Uint8Array> {
  const line = new FeederLine(4, 0xdead_beef)
  const parts = new HeldParts(6)
  parts.addSegments(100, 40)
  parts.addSegments(200, 1)
  parts.addPart(201, 0)
  parts.addPart(201, 5)
  parts.viewers = 300
  const fed = { stream: 'a', parts, id: 0, isNamed: false, wants: 3, isOpen: true }
  line.add({ ...fed, rendition: '720p' })
  line.add({ ...fed, rendition: '', parts: new HeldParts(1), wants: 0 })
  const coordinate = { x: -12.5, y: 3, z: 0, height: 9.9 }
  const load = { uploadFreeKbps: 200_000, busyPermille: 999, coordinate }
  const softBatch = line.next(new ByteWriter(), load, 1).bytes
  const shard = new SoftShard({ clock: new ManualClock(), random: () => 0.5 })
  shard.lead(2 ** 32)
  shard.answer('other', softBatch)
  const softAnswer = shard.answer('self', softBatch)
  const holdings = shard.ask([{ type: 'holdings', peerId: 'self', from: 0 }], 'x')
  shard.lead(undefined)
  const subject = { stream: 'a', rendition: '720p' }
  const message = Uint8Array.of(0x12, 3)
  return {
    softRequest: encodeSoftRequest({ region: 2 ** 40 + 5, shard: 16, message }),
    softBatch,
    softAnswer,
    softHoldings: encodeReplies(holdings),
    softQuestions: encodeQuestions([
      {
        ...{ type: 'holders', ...subject, wanted: { type: 'part', segment: 2 ** 31, part: 5 } },
        ...{ order: 'near', limit: 64 },
      },
      {
        ...{ type: 'holders', ...subject, wanted: { type: 'segments', first: 9, count: 300 } },
        ...{ order: 'idle', limit: 1 },
      },
      { type: 'swarm', ...subject, limit: 9 },
      { type: 'viewers', ...subject },
      { type: 'totals' },
      { type: 'holdings', peerId: 'b', from: 128 },
      { type: 'names', handles: [1, 0xffff_ffff] },
    ]),
    softReplies: encodeReplies({
      ...{ term: 9, isComplete: true },
      replies: [
        { type: 'holders', holders: [{ peerId: 'b', uploadFreeKbps: 2 ** 31, busyPermille: 7 }] },
        { type: 'swarm', peerIds: ['c', 'd'] },
        { type: 'viewers', viewers: 2 ** 35, holders: 128 },
        { type: 'totals', peers: 1, subjects: 2, entries: 3, viewers: 4 },
        { type: 'names', peerIds: ['b', undefined] },
      ],
    }),
  }
}
