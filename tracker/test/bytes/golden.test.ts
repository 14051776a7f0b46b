/** The wire and the files stay what they are: one message of each kind against the bytes that the first version wrote, and read again. */
import { readFile } from 'node:fs/promises'
import { test } from 'tap'
import {
  decodeBatch,
  decodeItem,
  decodeLeadership,
  decodeList,
  decodeRequest,
} from '../../src/client/coordination-codec.ts'
import { decodeSoftRequest } from '../../src/client/soft-request.ts'
import { decodeBulk } from '../../src/driver/bulk-codec.ts'
import { decodeAddresses, decodeState } from '../../src/driver/directory.ts'
import { decodeCounter, decodePresence, decodeRoster } from '../../src/region/member-record.ts'
import { decodeFacts } from '../../src/region/region-facts.ts'
import {
  decodeChangeRequest,
  decodeDismissal,
  decodeHello,
  decodeInvitation,
  decodeJoinAnswer,
  decodeJoinRequest,
  decodeOffer,
  decodeReport,
  decodeSeat,
  decodeTransferRequest,
} from '../../src/region/region-messages.ts'
import { readBatchAnswer } from '../../src/soft/batch-answer.ts'
import { decodeQuestions, decodeReplies } from '../../src/soft/questions.ts'
import { samples } from './samples.ts'

const file = await readFile(new URL('./golden.txt', import.meta.url), 'utf8')
const golden = new Map(
  file
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ') as [name: string, hex: string]),
)

const decoders: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  ...{ piece: decodeBulk, receipt: decodeBulk, addresses: decodeAddresses, state: decodeState },
  ...{ propose: decodeRequest, get: decodeRequest, list: decodeRequest, renew: decodeRequest },
  ...{ watch: decodeRequest, follow: decodeRequest, item: decodeItem, keyList: decodeList },
  ...{ watchBatch: decodeBatch, leadership: decodeLeadership, counter: decodeCounter },
  ...{ roster: decodeRoster, presence: decodePresence, facts: decodeFacts, hello: decodeHello },
  ...{ join: decodeJoinRequest, joined: decodeJoinAnswer, notJoined: decodeJoinAnswer },
  ...{ invitation: decodeInvitation, dismissal: decodeDismissal, change: decodeChangeRequest },
  ...{ transfer: decodeTransferRequest, report: decodeReport, seat: decodeSeat },
  ...{ offer: decodeOffer, softAnswer: readBatchAnswer, softQuestions: decodeQuestions },
  ...{ softReplies: decodeReplies, softRequest: decodeSoftRequest, softHoldings: decodeReplies },
}

test('each message is written as ever', async (t) => {
  const written = Object.entries(await samples())
  t.same(
    written.map(([name]) => name),
    [...golden.keys()],
  )
  for (const [name, bytes] of written) {
    t.equal(Buffer.from(bytes).toString('hex'), golden.get(name), name)
  }
})

test('each message is read from wherever it lies, and not one byte less of it', async (t) => {
  for (const [name, decode] of Object.entries(decoders)) {
    const bytes = Buffer.from(golden.get(name) as string, 'hex')
    const amid = Buffer.concat([Buffer.alloc(3, 0xff), bytes, Buffer.alloc(3, 0xff)])
    const read = decode(new Uint8Array(bytes))
    t.same(decode(amid.subarray(3, 3 + bytes.length)), read, name)
    // They end in bytes of whatever length.
    if (['piece', 'state', 'softRequest'].includes(name)) continue
    t.throws(() => decode(bytes.subarray(0, -1)), { name: 'TrackerError' }, `${name}, cut`)
  }
})
