// Stream keys: names, signatures, storage.
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'tap'
import {
  generateStreamKey,
  parseStreamId,
  streamKeyFromPem,
  streamPublicKey,
  streamPublicKeyOf,
} from '../../src/content/stream-key.ts'

test('a key is named by its public half, and signs for it alone', async (t) => {
  const key = generateStreamKey()
  t.match(key.id, /^k51[0-9a-z]+$/)
  const message = Buffer.from('a part')
  const signature = key.sign(message)
  t.ok(streamPublicKeyOf(key.id).verify(message, signature))
  t.notOk(streamPublicKeyOf(key.id).verify(Buffer.from('another'), signature))
  t.notOk(generateStreamKey().verify(message, signature))
  t.equal(streamPublicKey(key.raw).id, key.id)
})

test('a key survives being written down', async (t) => {
  const key = generateStreamKey()
  t.equal(streamKeyFromPem(key.toPem()).id, key.id)
  t.throws(() => streamKeyFromPem('nothing'), { code: 'ERR_CONFIG' })
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  t.throws(() => streamKeyFromPem(pem), { code: 'ERR_CONFIG', message: /Ed25519/ })
})

test('what is no stream id is refused', async (t) => {
  const { id } = generateStreamKey()
  const wrong = ['', 'main', id.slice(0, -1), `${id}0`, id.toUpperCase(), `k${'0'.repeat(60)}`]
  for (const text of wrong) {
    t.equal(parseStreamId(text), undefined, text)
    t.throws(() => streamPublicKeyOf(text), { code: 'ERR_INVALID_INPUT' })
  }
  t.throws(() => streamPublicKey(Buffer.alloc(31)), { code: 'ERR_PROTOCOL' })
})
