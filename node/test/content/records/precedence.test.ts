// Which of two records of one stream holds.
import { test } from 'tap'
import { compareTokens, replaces } from '../../../src/content/records/precedence.ts'
import type { StreamRecord } from '../../../src/content/stream.ts'
import { recordFields } from '../../support/records.ts'

function record(fields: Partial<StreamRecord>): StreamRecord {
  return {
    ...recordFields(),
    ...{ id: 'k51', originPeer: 'a', sequence: 100, expiresAtMs: 20_100 },
    ...fields,
  }
}

test('tokens are ordered by term, then index, and none is the smallest', async (t) => {
  const ordered = [undefined, { term: 1, index: 9 }, { term: 2, index: 3 }, { term: 2, index: 10 }]
  for (const [i, a] of ordered.entries()) {
    for (const [j, b] of ordered.entries())
      t.equal(Math.sign(compareTokens(a, b)), Math.sign(i - j))
  }
})

test('of one peer the newer record holds, with whatever token', async (t) => {
  const known = record({ token: { term: 5, index: 5 } })
  t.ok(replaces(known, record({ sequence: 101 })), 'it may have lost its region in a restart')
  t.notOk(replaces(known, record({ token: { term: 6, index: 1 } })), 'the same again')
  t.notOk(replaces(known, record({ sequence: 99, token: { term: 6, index: 1 } })))
})

test('of two peers the larger token holds, and the newer record where they are equal', async (t) => {
  const known = record({ token: { term: 5, index: 5 } })
  const other = (fields: Partial<StreamRecord>) => record({ originPeer: 'b', ...fields })
  t.ok(replaces(known, other({ sequence: 1, token: { term: 5, index: 6 } })))
  t.ok(replaces(known, other({ sequence: 1, token: { term: 6, index: 1 } })))
  t.notOk(replaces(known, other({ sequence: 900, token: { term: 5, index: 4 } })))
  t.notOk(replaces(known, other({ sequence: 900 })), 'none gives way to one')
  t.ok(replaces(record({}), other({ sequence: 1, token: { term: 1, index: 1 } })))
  t.ok(replaces(record({}), other({ sequence: 101 })))
  t.notOk(replaces(record({}), other({ sequence: 100 })))
})

test('a stream that has ended at its owner may be published by somebody that no region could ask', async (t) => {
  const ended = record({ state: 'ended', token: { term: 5, index: 5 } })
  t.ok(replaces(ended, record({ originPeer: 'b', sequence: 101 })))
  t.notOk(replaces(ended, record({ originPeer: 'b', sequence: 99 })), 'nothing that is older')
  const over = record({ originPeer: 'b', sequence: 900, state: 'ended' })
  t.notOk(replaces(record({ token: { term: 5, index: 5 } }), over), 'its end ends nothing')
})
