/** Kept objects in words, and the name of the object that somebody typed. */

import type { Keeper, KeptObject } from '../../shared/api.ts'
import { bytes } from '../../shared/format.ts'

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'
/** Version 1, raw codec, SHA-256, 32 bytes: what stands in a CID before the hash. */
const cidPrefix = '01551220'
const cidDigits = 58

/** The CID that a text names, which is one itself or a SHA-256 in hex; undefined for any other text. */
export function objectNamed(text: string): string | undefined {
  const typed = text.trim()
  if (/^b[a-z2-7]{58}$/.test(typed)) return typed
  return /^[0-9a-f]{64}$/i.test(typed) ? cidOf(typed) : undefined
}

function cidOf(digest: string): string {
  // 36 bytes and two zero bits are 58 digits of five bits.
  const digits = (BigInt(`0x${cidPrefix}${digest}`) << 2n).toString(32).padStart(cidDigits, '0')
  return `b${[...digits].map((digit) => base32[Number.parseInt(digit, 32)]).join('')}`
}

/** `bafkreih…x9qz4w`: all objects' names begin alike. */
export function shortCid(cid: string): string {
  return cid.length <= 16 ? cid : `${cid.slice(0, 8)}…${cid.slice(-6)}`
}

const keeperWords: Readonly<Record<Keeper, string>> = {
  operator: 'you',
  ipfs: 'a pinned IPFS tree',
}

/** `12 KiB, kept by you and a pinned IPFS tree`. */
export function describeKept({ bytes: size, by }: KeptObject): string {
  const here = size === null ? 'lost here, fetched again from other peers' : bytes(size)
  return `${here} · kept by ${by.map((keeper) => keeperWords[keeper]).join(' and ')}`
}

/** What comes of a release, for those who are asked whether they want it. */
export function describeRelease(by: readonly Keeper[]): string {
  return by.includes('ipfs')
    ? 'The object stays for now: a pinned IPFS tree keeps it too. Once that tree is released, it goes when room is needed.'
    : 'The object is not deleted now. It goes like any other when room is needed, and is not fetched again by itself.'
}
