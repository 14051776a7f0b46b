/**
 * Names of videos on demand. A name says whose it is: its second half is a hash of its first half and of the peer that made it, so
 * no other peer can tell the network of a video by that name. Letters are those that any URL and file system takes.
 */
import { hash } from 'node:crypto'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const CONTEXT = 'kairo video v1\n'
/** 60 bits: no two of one peer are alike. */
const NONCE_LENGTH = 12
/** 100 bits: nobody finds a key that fits another's name. */
const PROOF_LENGTH = 20
const PATTERN = /^[a-z2-7]{32}$/

/** A new name for a video of the peer with this id: 32 characters of base32 (RFC 4648, lower case). */
export function makeVideoId(peerId: string, random: (bytes: number) => Uint8Array): string {
  const nonce = base32(random(NONCE_LENGTH), NONCE_LENGTH)
  return nonce + proofOf(peerId, nonce)
}

/** True for what {@link makeVideoId} makes, for whatever peer. */
export function isVideoId(text: string): boolean {
  return PATTERN.test(text)
}

/** True for a name that this peer has made. */
export function isVideoIdOf(peerId: string, id: string): boolean {
  return isVideoId(id) && id.slice(NONCE_LENGTH) === proofOf(peerId, id.slice(0, NONCE_LENGTH))
}

function proofOf(peerId: string, nonce: string): string {
  return base32(hash('sha256', `${CONTEXT}${peerId}\n${nonce}`, 'buffer'), PROOF_LENGTH)
}

/** One character for the low five bits of each byte. */
function base32(bytes: Uint8Array, length: number): string {
  return Array.from(bytes.subarray(0, length), (byte) => ALPHABET[byte & 31]).join('')
}
