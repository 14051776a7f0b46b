/** Certificates bound to peers: made, checked, and refused when anything about them is not right. */
import { X509Certificate } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { verifyPeerCertificate } from '@libp2p/tls/utils'
import * as x509 from '@peculiar/x509'
import fc from 'fast-check'
import { test } from 'tap'
import { isKairoError } from '../../../src/errors.ts'
import { createCertificate, peerIdOfCertificate } from '../../../src/host/peer-https/certificate.ts'
import { readExtensions } from '../../../src/host/peer-https/der.ts'
import { peerSigner } from '../../../src/host/peer-signature.ts'
import { peerHttpLimits } from '../../../src/limits/peer-http.ts'
import { mutate, mutations } from '../../support/mutate.ts'

const EXTENSION = '1.3.6.1.4.1.53594.1.1'
const nowMs = Date.now()
const identity = await generateKeyPair('Ed25519')
const id = peerIdFromPrivateKey(identity).toString()
const made = await createCertificate(identity)
const der = Buffer.from(new X509Certificate(made.certificate).raw)

/** The id, or the code of the error; anything else that is thrown fails the test. */
function check(bytes: Uint8Array, atMs = nowMs): string {
  try {
    return peerIdOfCertificate(bytes, atMs)
  } catch (error) {
    if (!isKairoError(error)) throw error
    return error.code
  }
}

function octets(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0x04, bytes.byteLength]), bytes])
}

/** A certificate made by hand. */
async function forge(options: {
  readonly extensions?: (publicKey: Buffer) => x509.Extension[]
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly signedByAnother?: boolean
}): Promise<Uint8Array> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const others = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const publicKey = Buffer.from(await crypto.subtle.exportKey('spki', keys.publicKey))
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: '01',
      subject: 'CN=x',
      issuer: 'CN=x',
      notBefore: options.notBefore ?? new Date(nowMs - 60_000),
      notAfter: options.notAfter ?? new Date(nowMs + 60_000),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: options.signedByAnother === true ? others.privateKey : keys.privateKey,
      extensions: options.extensions?.(publicKey) ?? [],
    },
    crypto as unknown as Parameters<typeof x509.X509CertificateGenerator.create>[1],
  )
  return new Uint8Array(certificate.rawData)
}

/** The extension as the specification has it. */
function vouched(publicKey: Buffer, context = 'libp2p-tls-handshake:'): x509.Extension {
  const key = Buffer.concat([Buffer.from([8, 1, 0x12, 32]), identity.publicKey.raw])
  const message = Buffer.concat([Buffer.from(context), publicKey])
  const signature = peerSigner(identity).sign(message)
  const content = Buffer.concat([octets(key), octets(signature)])
  return new x509.Extension(
    EXTENSION,
    true,
    Buffer.concat([Buffer.from([0x30, content.byteLength]), content]),
  )
}

test('a certificate says who made it', async (t) => {
  t.equal(check(der), id)
  t.equal((await verifyPeerCertificate(der)).toString(), id, 'as libp2p itself reads it')
  t.equal(check(await forge({ extensions: (key) => [vouched(key)] })), id)
  t.match(readExtensions(der), [{ oid: EXTENSION, isCritical: true }])
  const again = await createCertificate(identity)
  t.not(again.digest, made.digest, 'each start has its own')
  t.match(made.digest, /^[0-9a-f]{64}$/)
})

test('and is refused', async (t) => {
  const refused = async (what: string, bytes: Uint8Array | Promise<Uint8Array>): Promise<void> => {
    t.equal(check(await bytes), 'ERR_VERIFICATION', what)
  }
  await refused('without the extension', forge({}))
  await refused('signed over something else', forge({ extensions: (key) => [vouched(key, 'x:')] }))
  await refused('signed over another key', forge({ extensions: () => [vouched(Buffer.alloc(91))] }))
  await refused('vouched for twice', forge({ extensions: (key) => [vouched(key), vouched(key)] }))
  await refused(
    'with a critical extension nobody knows',
    forge({
      extensions: (key) => [vouched(key), new x509.Extension('1.2.3.4', true, Buffer.of(5, 0))],
    }),
  )
  await refused(
    'with an empty extension',
    forge({ extensions: () => [new x509.Extension(EXTENSION, true, Buffer.of(0x30, 0))] }),
  )
  await refused(
    'not signed by itself',
    forge({ extensions: (key) => [vouched(key)], signedByAnother: true }),
  )
  const tomorrow = new Date(nowMs + 86_400_000)
  const yesterday = new Date(nowMs - 86_400_000)
  const extensions = (key: Buffer) => [vouched(key)]
  await refused(
    'of tomorrow',
    forge({ extensions, notBefore: tomorrow, notAfter: new Date(nowMs + 2 * 86_400_000) }),
  )
  await refused(
    'of yesterday',
    forge({ extensions, notBefore: new Date(nowMs - 2 * 86_400_000), notAfter: yesterday }),
  )
  await refused('too large', Buffer.concat([der, Buffer.alloc(peerHttpLimits.certificateBytesMax)]))
  await refused('empty', Buffer.alloc(0))
  t.equal(check(der, nowMs - 2 * 3_600_000), 'ERR_VERIFICATION', 'by a clock that is behind')
  t.equal(
    check(
      await forge({
        extensions: (key) => [vouched(key), new x509.Extension('1.2.3.4', false, Buffer.of(5, 0))],
      }),
    ),
    id,
    'what is not critical may stand beside it',
  )
})

test('no change of a certificate names another peer, and nothing but a KairoError comes of it', async (t) => {
  fc.assert(
    fc.property(mutations(), (changes) =>
      [id, 'ERR_VERIFICATION'].includes(check(mutate(der, changes))),
    ),
    { numRuns: 1_500 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => check(bytes) === 'ERR_VERIFICATION'),
    { numRuns: 500 },
  )
  t.pass()
})

test('the reader of extensions takes any bytes', async (t) => {
  const read = (bytes: Uint8Array): boolean => {
    try {
      for (const { oid, value } of readExtensions(bytes)) {
        if (!/^\d+(\.\d+)+$/.test(oid) || value.byteLength > bytes.byteLength) return false
      }
      return true
    } catch (error) {
      return isKairoError(error, 'ERR_VERIFICATION')
    }
  }
  fc.assert(
    fc.property(mutations(), (changes) => read(mutate(der, changes))),
    { numRuns: 5_000 },
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), read), { numRuns: 5_000 })
  t.pass()
})
