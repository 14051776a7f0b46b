/**
 * Stream records from strangers: whatever bytes come, decoding ends in a record or a KairoError, and no changed record
 * passes its signature.
 */
import fc from 'fast-check'
import { test } from 'tap'
import { decodeSignedRecord, encodeSignedRecord } from '../../src/content/records/stream-record.ts'
import { generateStreamKey } from '../../src/content/stream-key.ts'
import { KairoError } from '../../src/errors.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { recordFields } from '../support/records.ts'

const key = generateStreamKey()
const original = encodeSignedRecord(key, {
  ...recordFields(),
  id: key.id,
  originPeer: '12D3KooWLxFaUbhMrtHhjXCsmqGHch9ZLdTFRNHXJiwF3xCWpUap',
  sequence: 1_700_000_000_000,
  expiresAtMs: 1_700_000_020_000,
})
const originalRecord = JSON.stringify(decodeSignedRecord(original).record)

function outcome(bytes: Uint8Array): 'record' | 'refused' {
  try {
    decodeSignedRecord(bytes)
    return 'record'
  } catch (error) {
    if (error instanceof KairoError) return 'refused'
    throw error
  }
}

test('random bytes', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      outcome(bytes)
    }),
    { numRuns: fuzzRuns(20_000) },
  )
})

test('a record with bytes changed, cut out or put in', async (t) => {
  const edit = fc.record({
    at: fc.nat(original.byteLength),
    cut: fc.nat(8),
    insert: fc.uint8Array({ maxLength: 8 }),
  })
  let read = 0
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
      let bytes: Uint8Array = original
      for (const { at, cut, insert } of edits) {
        bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + cut)])
      }
      if (outcome(bytes) === 'refused') return
      read++
      const unchecked = decodeSignedRecord(bytes)
      if (JSON.stringify(unchecked.record) === originalRecord) return
      try {
        unchecked.verify()
      } catch (error) {
        if (error instanceof KairoError && error.code === 'ERR_VERIFICATION') return
        throw error
      }
      throw new Error('a changed record passed its signature')
    }),
    { numRuns: fuzzRuns(20_000) },
  )
  t.ok(read > 0, `${read} changed records were well-formed`)
})
