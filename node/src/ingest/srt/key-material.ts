/**
 * The keys of an encrypted SRT stream (draft-sharabayko-srt-01 sections 3.2.2 and 6): unwraps the stream's keys with a key made
 * of the passphrase, and decrypts payloads with AES in counter mode.
 */
import { createDecipheriv, pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'

/** A message that carries one or both keys of a stream. */
export interface KeyMaterial {
  /** 1 the even key, 2 the odd one, 3 both. */
  readonly keys: number
  /** The cipher and what authenticates, by number; Kairo takes 2 (AES-CTR) and 0. */
  readonly cipher: number
  readonly authentication: number
  readonly salt: Buffer
  readonly keyBytes: number
  /** The keys, wrapped as RFC 3394 says. */
  readonly wrapped: Buffer
}

/** States of encryption that a refusal names (section 3.2.1.2). */
export const KEY_STATE = { noSecret: 3, badSecret: 4 } as const

const SIGNATURE = 0x2029
const FIRST_BYTE = 0x12
const SALT_BYTES = 16
const HEADER_BYTES = 16
const CIPHER_CTR = 2
const WRAP_OVERHEAD_BYTES = 8
const WRAP_IV: Buffer = Buffer.alloc(8, 0xa6)
const PBKDF2_ROUNDS = 2_048
/** The part of the salt that makes the key-encrypting key, its last 64 bits. */
const KEK_SALT_BYTES = 8
/** The part of the salt that goes into the counter, its first 112 bits. */
const COUNTER_SALT_BYTES = 14
const SEQUENCE_OFFSET = 10
/** Numbers of the keys in a packet's header. */
const EVEN = 1
const ODD = 2

const derive = promisify(pbkdf2)

/** Reads a key material message; undefined when it is malformed. */
export function readKeyMaterial(content: Buffer): KeyMaterial | undefined {
  if (content.byteLength < HEADER_BYTES + SALT_BYTES) return undefined
  const keys = content.readUInt8(3) & 3
  const saltBytes = content.readUInt8(14) * 4
  const keyBytes = content.readUInt8(15) * 4
  const wrappedBytes = keyBytes * (keys === 3 ? 2 : 1) + WRAP_OVERHEAD_BYTES
  const wellFormed =
    content.readUInt8(0) === FIRST_BYTE &&
    content.readUInt16BE(1) === SIGNATURE &&
    keys !== 0 &&
    saltBytes === SALT_BYTES &&
    [16, 24, 32].includes(keyBytes) &&
    content.byteLength === HEADER_BYTES + SALT_BYTES + wrappedBytes
  if (!wellFormed) return undefined
  return {
    keys,
    cipher: content.readUInt8(8),
    authentication: content.readUInt8(9),
    salt: Buffer.from(content.subarray(HEADER_BYTES, HEADER_BYTES + SALT_BYTES)),
    keyBytes,
    wrapped: content.subarray(HEADER_BYTES + SALT_BYTES),
  }
}

/** True when the material is for the cipher that Kairo decrypts, AES-CTR without authentication. */
export function isKnownCipher(material: KeyMaterial): boolean {
  return material.cipher === CIPHER_CTR && material.authentication === 0
}

interface StreamKey {
  readonly key: Buffer
  readonly salt: Buffer
}

/** Decrypts one stream; its keys change while it runs. */
export class Decryptor {
  readonly #passphrase: string
  readonly #keys: (StreamKey | undefined)[] = []
  /** The key-encrypting key made last: a caller that changes its keys keeps the salt, and making one is dear. */
  #kek: { readonly salt: Buffer; readonly key: Buffer } | undefined

  constructor(passphrase: string) {
    this.#passphrase = passphrase
  }

  /** Takes the keys out of a message; false when the passphrase does not open it. */
  async accept(material: KeyMaterial): Promise<boolean> {
    const kek = await this.#kekFor(material)
    const keys = unwrap(kek, material.wrapped)
    if (keys === undefined) return false
    this.#kek = { salt: material.salt, key: kek }
    let offset = 0
    for (const number of [EVEN, ODD]) {
      if ((material.keys & number) === 0) continue
      const key = keys.subarray(offset, offset + material.keyBytes)
      this.#keys[number] = { key, salt: material.salt }
      offset += material.keyBytes
    }
    return true
  }

  /** The payload of the packet with this sequence number in the clear; undefined when its key is not known. */
  decrypt(payload: Buffer, sequence: number, keyNumber: number): Buffer | undefined {
    const streamKey = this.#keys[keyNumber]
    if (streamKey === undefined) return undefined
    const counter = Buffer.alloc(16)
    streamKey.salt.copy(counter, 0, 0, COUNTER_SALT_BYTES)
    const mixed = (counter.readUInt32BE(SEQUENCE_OFFSET) ^ sequence) >>> 0
    counter.writeUInt32BE(mixed, SEQUENCE_OFFSET)
    const bits = streamKey.key.byteLength * 8
    return createDecipheriv(`aes-${bits}-ctr`, streamKey.key, counter).update(payload)
  }

  async #kekFor({ salt, keyBytes }: KeyMaterial): Promise<Buffer> {
    const known = this.#kek
    if (known?.key.byteLength === keyBytes && known.salt.equals(salt)) return known.key
    const kekSalt = salt.subarray(SALT_BYTES - KEK_SALT_BYTES)
    return derive(this.#passphrase, kekSalt, PBKDF2_ROUNDS, keyBytes, 'sha1')
  }
}

/** AES key unwrap (RFC 3394); undefined when the check value is wrong, which is how a wrong passphrase shows. */
function unwrap(kek: Buffer, wrapped: Buffer): Buffer | undefined {
  const bits = kek.byteLength * 8
  const decipher = createDecipheriv(`id-aes${bits}-wrap`, kek, WRAP_IV)
  try {
    return Buffer.concat([decipher.update(wrapped), decipher.final()])
  } catch {
    // OpenSSL says "wrong check value" in several ways, and has no other reason to refuse input of the right length.
    return undefined
  }
}
