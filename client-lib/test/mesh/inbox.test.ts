// What a peer may send, in whichever order its channels bring it, and what is a fault.
import fc from 'fast-check'
import { test } from 'tap'
import { Inbox } from '../../src/mesh/inbox.ts'
import { meshLimits as limits } from '../../src/mesh/limits.ts'
import { protocolLimits } from '../../src/protocol/limits.ts'
import { firstPushNo, type MeshMessage } from '../../src/protocol/mesh-messages.ts'

const key = 'r/1'
const fault = { code: 'ERR_PROTOCOL' }

function stage() {
  const told: unknown[][] = []
  const sent: MeshMessage[] = []
  const tell =
    (name: string) =>
    (...values: unknown[]): void => {
      told.push([name, ...values])
    }
  const inbox = new Inbox({
    send: (message) => sent.push(message),
    onHave: tell('have'),
    onLost: tell('lost'),
    onPush: tell('push'),
    onChunk: (chunkKey, offset, bytes) => told.push(['chunk', chunkKey, offset, bytes.length]),
    onLength: tell('length'),
    onEnd: tell('end'),
  })
  const chunk = (no: number, offset: number, length: number): void =>
    inbox.takeChunk({ no, offset, bytes: new Uint8Array(length) })
  const end = (no: number, bytes?: number, isCut = false): void =>
    inbox.takeEnd({ kind: 'end', no, isCut, ...(bytes !== undefined && { bytes }) })
  const push = (no: number, pushed = key): void => inbox.takePush({ kind: 'push', no, key: pushed })
  return { told, sent, inbox, chunk, end, push }
}

test('an ask brings chunks, a length and an end', async (t) => {
  const { told, sent, inbox, chunk, end } = stage()
  t.ok(inbox.ask(key, 100))
  t.strictSame(sent, [{ kind: 'ask', no: 0, key, from: 100 }])
  t.equal(inbox.asks, 1)
  chunk(0, 100, 50)
  chunk(0, 150, 50)
  end(0, 200)
  t.strictSame(told, [
    ['chunk', key, 100, 50],
    ['chunk', key, 150, 50],
    ['length', key, 200],
    ['end', key, false],
  ])
  t.equal(inbox.asks, 0)
})

test('an end that overtakes chunks waits for them', async (t) => {
  const { told, inbox, chunk, end } = stage()
  inbox.ask(key, 0, 1_000)
  end(0)
  chunk(0, 500, 500)
  t.equal(told.at(-1)?.[0], 'chunk')
  chunk(0, 0, 500)
  t.strictSame(told.at(-1), ['end', key, false])
  inbox.ask(key, 0)
  inbox.ask(key, 0, 70)
  end(1, 50)
  end(2, 50)
  chunk(1, 0, 50)
  t.strictSame(told.at(-1), ['end', key, false])
  chunk(2, 0, 50)
  t.strictSame(told.at(-1), ['end', key, false], 'a part that is shorter than what was asked for')
  inbox.ask(key, 50)
  end(3, 50)
  t.strictSame(told.at(-1), ['end', key, false], 'there was nothing left')
})

test('what comes after a cancel is ignored, after a cut it is not', async (t) => {
  const { told, sent, inbox, chunk, end } = stage()
  inbox.ask(key, 0)
  inbox.cancel('r/2')
  inbox.cancel(key)
  t.strictSame(sent.at(-1), { kind: 'cancel', no: 0 })
  chunk(0, 0, 10)
  end(0, 10)
  t.strictSame(told, [])
  inbox.ask(key, 0)
  end(1, undefined, true)
  t.strictSame(told, [['end', key, true]])
  chunk(1, 0, 10)
  t.strictSame(told.at(-1), ['chunk', key, 0, 10])
  inbox.ask(key, 0, 10)
  end(2, undefined, true)
  chunk(2, 0, 10)
  t.strictSame(told.at(-1), ['chunk', key, 0, 10], 'and no second end, when it is all after all')
  t.equal(inbox.asks, 0)
})

test('chunks may come before the push that they belong to', async (t) => {
  const { told, chunk, end, push } = stage()
  chunk(firstPushNo + 1, 10, 10)
  chunk(firstPushNo + 1, 0, 10)
  t.strictSame(told, [])
  push(firstPushNo + 1)
  end(firstPushNo + 1, 20)
  t.strictSame(told, [
    ['push', key],
    ['chunk', key, 10, 10],
    ['chunk', key, 0, 10],
    ['length', key, 20],
    ['end', key, false],
  ])
})

test('chunks that were kept make room when their push is named', async (t) => {
  const { told, sent, chunk, push } = stage()
  for (let no = firstPushNo; no < firstPushNo + 3; no += 1) {
    for (let at = 0; at < limits.earlyChunksMax; at += 1) chunk(no, at, 1)
    push(no)
  }
  t.strictSame(sent, [])
  t.equal(told.length, 3 * (limits.earlyChunksMax + 1))
})

test('too many of them cost the push, and a peer that goes on its connection', async (t) => {
  const { told, sent, chunk, push } = stage()
  const overflow = (no: number): void => {
    for (let at = 0; at <= limits.earlyChunksMax; at += 1) chunk(no, at, 1)
  }
  overflow(firstPushNo)
  t.strictSame(sent, [{ kind: 'cancel', no: firstPushNo }])
  push(firstPushNo)
  chunk(firstPushNo, 100, 1)
  t.strictSame(told, [])
  for (let no = 1; no < limits.earlyOverflowsMax; no += 1) overflow(firstPushNo + no)
  t.throws(() => overflow(firstPushNo + limits.earlyOverflowsMax), fault)
})

test('pushes beyond the bound are cancelled; those that only wait for chunks do not count', async (t) => {
  const { sent, push, end } = stage()
  for (let no = 0; no < limits.pushesMax; no += 1) push(firstPushNo + no, `r/${no}`)
  t.strictSame(sent, [])
  end(firstPushNo, 10)
  push(firstPushNo + limits.pushesMax)
  t.strictSame(sent, [])
  push(firstPushNo + limits.pushesMax + 1)
  t.strictSame(sent, [{ kind: 'cancel', no: firstPushNo + limits.pushesMax + 1 }])
})

test('pushes whose chunks never come are given up, the oldest first', async (t) => {
  const { told, chunk, push, end } = stage()
  for (let no = firstPushNo; no <= firstPushNo + limits.pushesMax; no += 1) {
    push(no, `r/${no}`)
    end(no, 10)
  }
  t.notOk(told.some(([name]) => name === 'end'))
  push(firstPushNo + limits.pushesMax + 1)
  t.strictSame(told.at(-2), ['end', `r/${firstPushNo}`, true])
  chunk(firstPushNo, 0, 10)
  t.strictSame(told.at(-1), ['chunk', `r/${firstPushNo}`, 0, 10], 'late is better than never')
})

test('a push is cancelled by its key', async (t) => {
  const { told, sent, inbox, chunk, push } = stage()
  push(firstPushNo)
  inbox.cancel(key)
  chunk(firstPushNo, 0, 10)
  t.strictSame(sent, [{ kind: 'cancel', no: firstPushNo }])
  t.strictSame(told, [['push', key]])
})

test('what a correct page would not send is a fault', async (t) => {
  const faults: Record<string, (on: ReturnType<typeof stage>) => void> = {
    'a chunk of an ask that never was': ({ chunk }) => chunk(1, 0, 10),
    'before the range': ({ chunk }) => chunk(0, 99, 10),
    'beyond the range': ({ chunk }) => chunk(0, 195, 10),
    'sent twice': ({ chunk }) => {
      for (let at = 0; at < 3; at += 1) chunk(0, 100, 50)
    },
    'after all of it': ({ chunk, end }) => {
      chunk(0, 100, 100)
      end(0)
      chunk(0, 100, 1)
    },
    'beyond the length': ({ chunk, end }) => {
      end(0, 150)
      chunk(0, 140, 20)
    },
    'a length that is less than what came': ({ chunk, end }) => {
      chunk(0, 100, 60)
      end(0, 150)
    },
    'more after a cancel than was asked for': ({ inbox, chunk }) => {
      inbox.cancel(key)
      chunk(0, 100, 100)
      chunk(0, 100, 1)
    },
    'an end of nothing': ({ end }) => end(7, 10),
    'a second end': ({ end }) => {
      end(0, 200)
      end(0, 200)
    },
    'an end that does not say how long the part is': ({ inbox, end }) => {
      inbox.ask('r/2', 0)
      end(1)
    },
    'a push of a number in use': ({ push }) => {
      push(firstPushNo)
      push(firstPushNo, 'r/2')
    },
    'byte by byte': ({ inbox, chunk }) => {
      inbox.ask('r/2', 0)
      for (let at = 0; at < 2_000; at += 1) chunk(1, at, 1)
    },
  }
  for (const [name, send] of Object.entries(faults)) {
    const on = stage()
    on.inbox.ask(key, 100, 200)
    t.throws(() => send(on), fault, name)
  }
})

test('what is asked for is bounded', async (t) => {
  const { inbox } = stage()
  t.notOk(inbox.ask(key, protocolLimits.partBytesMax))
  t.notOk(inbox.ask(key, 5, 5))
  for (let at = 0; at < limits.asksMax; at += 1) t.ok(inbox.ask(key, at))
  t.notOk(inbox.ask(key, 0))
})

test('numbers are not used again while something of them may come', async (t) => {
  const { sent, inbox, end } = stage()
  for (let at = 0; at <= limits.closedMax; at += 1) {
    inbox.ask(key, 0)
    inbox.cancel(key)
  }
  const numbers = sent
    .filter(({ kind }) => kind === 'ask')
    .map((message) => (message as { no: number }).no)
  t.equal(new Set(numbers).size, limits.closedMax + 1)
  end(1, 10)
  t.throws(() => end(0, 10), fault, 'the oldest is forgotten')
})

test('parts of a peer are remembered, and the oldest given up', async (t) => {
  const { told, inbox } = stage()
  const have = (sequence: number, bytes?: number): void =>
    inbox.takeHave({
      kind: 'have',
      parts: [{ key: `r/${sequence}`, isWhole: true, ...(bytes !== undefined && { bytes }) }],
    })
  have(0, 77)
  t.strictSame(told, [['have', 'r/0', 77, true]])
  inbox.takeLost({ kind: 'lost', keys: ['r/0', 'r/5'] })
  t.strictSame(told.slice(1), [['lost', 'r/0']])
  for (let sequence = 0; sequence < limits.heldMax; sequence += 1) have(sequence)
  have(0)
  have(limits.heldMax)
  t.strictSame(told.at(-1), ['lost', 'r/1'], 'not the one of which there was news')
})

test('a length that is refused ends nothing twice', async (t) => {
  const told: string[] = []
  const inbox: Inbox = new Inbox({
    send: ({ kind }) => told.push(kind),
    onHave: () => {},
    onLost: () => {},
    onPush: () => {},
    onChunk: () => {},
    onLength: (refused) => inbox.cancel(refused),
    onEnd: () => told.push('ended'),
  })
  inbox.ask(key, 0)
  inbox.takeChunk({ no: 0, offset: 0, bytes: new Uint8Array(10) })
  inbox.takeEnd({ kind: 'end', no: 0, bytes: 10, isCut: false })
  inbox.ask(key, 0)
  inbox.takeEnd({ kind: 'end', no: 1, bytes: 10, isCut: true })
  t.strictSame(told, ['ask', 'cancel', 'ask', 'cancel'])
})

test('whatever a peer sends, nothing but a fault comes of it', async () => {
  const no = fc.oneof(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: firstPushNo, max: firstPushNo + 3 }),
  )
  const at = fc.integer({ min: 0, max: 40 })
  type On = ReturnType<typeof stage>
  const step = fc.oneof(
    fc.tuple(no, at, fc.integer({ min: 1, max: 20 })).map(
      ([number, offset, length]) =>
        ({ chunk }: On) =>
          chunk(number, offset, length),
    ),
    fc.tuple(no, fc.option(at, { nil: undefined }), fc.boolean()).map(
      ([number, bytes, isCut]) =>
        ({ end }: On) =>
          end(number, bytes, isCut),
    ),
    no.map(
      (number) =>
        ({ push }: On) =>
          push(firstPushNo + (number % 4)),
    ),
    at.map(
      (from) =>
        ({ inbox }: On) =>
          void inbox.ask(key, from),
    ),
    fc.constant(({ inbox }: On) => inbox.cancel(key)),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const on = stage()
      try {
        for (const run of steps) run(on)
      } catch (error) {
        if ((error as { code?: string }).code !== 'ERR_PROTOCOL') throw error
      }
    }),
    { numRuns: 300 },
  )
})
