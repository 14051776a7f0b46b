/**
 * One purge as it travels: encoded, signed by its issuer's libp2p key, and read back with every field checked. The signature
 * covers the exact bytes, which are kept and passed on as they came (docs/protocol/purge.md).
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import { isKairoError, KairoError } from '../../errors.ts'
import { type PeerSigner, verifyPeerSignature } from '../../host/peer-signature.ts'
import { purgeLimits } from '../../limits/purge.ts'
import {
  PurgeSchema,
  SignedPurgeSchema,
  type Purge as WirePurge,
  type SignedPurge as WireSignedPurge,
} from '../../protocol/generated/purge_pb.js'
import { type PurgeMode, type PurgeSelector, purgeSelectorSchema } from '../purge-selector.ts'
import { normaliseSelector } from './normalise-selector.ts'

/** One purge of one issuer. */
export interface Purge {
  /** libp2p peer id, base58. */
  readonly issuer: string
  /** 16 hex digits; begins anew when the issuer has lost its log. */
  readonly epoch: string
  /** 1, 2, 3, ... within issuer and epoch. */
  readonly sequence: number
  /** Unix milliseconds by the issuer's clock; for people, orders nothing. */
  readonly issuedAtMs: number
  readonly selector: PurgeSelector
  readonly mode: PurgeMode
}

/** A purge with its signature. */
export interface SignedPurge {
  readonly purge: Purge
  readonly wire: WireSignedPurge
}

const VERSION = 1
const CONTEXT = Buffer.from('kairo purge v1\n')
const EPOCH = /^[0-9a-f]{16}$/
const SEQUENCE = /^[1-9]\d{0,15}$/
const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{32,64}$/

/** Names one sequence of purges. */
export function originKey({ issuer, epoch }: Pick<Purge, 'issuer' | 'epoch'>): string {
  return `${issuer}/${epoch}`
}

/** Names one purge, over the whole network. */
export function purgeId(purge: Pick<Purge, 'issuer' | 'epoch' | 'sequence'>): string {
  return `${originKey(purge)}/${purge.sequence}`
}

/** The reverse of {@link purgeId}; undefined for what is no such name. */
export function purgeNamed(id: string): Pick<Purge, 'issuer' | 'epoch' | 'sequence'> | undefined {
  const [issuer = '', epoch = '', number = '', ...more] = id.split('/')
  const isName = more.length === 0 && isOrigin(issuer, epoch) && SEQUENCE.test(number)
  const sequence = Number(number)
  return isName && Number.isSafeInteger(sequence) ? { issuer, epoch, sequence } : undefined
}

/** True when these fit their forms. */
export function isOrigin(issuer: string, epoch: string): boolean {
  return PEER_ID.test(issuer) && EPOCH.test(epoch)
}

/** Signs a purge of this peer. */
export function signPurge(signer: PeerSigner, purge: Purge): SignedPurge {
  const { selector } = purge
  const body = toBinary(
    PurgeSchema,
    create(PurgeSchema, {
      version: VERSION,
      issuer: purge.issuer,
      epoch: purge.epoch,
      sequence: BigInt(purge.sequence),
      issuedAtMs: BigInt(Math.floor(purge.issuedAtMs)),
      by: selector.by,
      value: wordOf(selector),
      host: selector.by === 'tag' ? (selector.host ?? '') : '',
      soft: purge.mode === 'soft',
    }),
  )
  const signature = signer.sign(Buffer.concat([CONTEXT, body]))
  return { purge, wire: create(SignedPurgeSchema, { purge: body, signature }) }
}

function encodePurge({ wire }: SignedPurge): Uint8Array {
  return toBinary(SignedPurgeSchema, wire)
}

/** A purge as the log of a region keeps it. */
export function entryOf(signed: SignedPurge): {
  readonly name: string
  readonly value: Uint8Array
} {
  return { name: purgeId(signed.purge), value: encodePurge(signed) }
}

/** True when an entry of its name is this very purge. */
export function isEntryOf(signed: SignedPurge, entry: { readonly value: Uint8Array }): boolean {
  return Buffer.compare(encodePurge(signed), entry.value) === 0
}

/** The reverse of {@link entryOf}'s value, checked as {@link readPurge} does. @throws KairoError `ERR_PROTOCOL`, `ERR_LIMIT`. */
export function decodePurge(bytes: Uint8Array): SignedPurge {
  return readPurge(decode(SignedPurgeSchema, bytes))
}

/**
 * Reads a signed purge and checks every field; the signature only by {@link verifyPurge}, the expensive half.
 * @throws KairoError `ERR_PROTOCOL` when something breaks its rule, `ERR_LIMIT` when it is too large.
 */
export function readPurge(wire: WireSignedPurge): SignedPurge {
  if (wire.purge.byteLength > purgeLimits.purgeBytesMax) {
    throw new KairoError('ERR_LIMIT', `a purge of ${wire.purge.byteLength} bytes is too large`)
  }
  return { purge: purgeOf(decode(PurgeSchema, wire.purge)), wire }
}

/** @throws KairoError `ERR_VERIFICATION` when the purge is not signed by its issuer. */
export function verifyPurge({ purge, wire }: SignedPurge): void {
  const message = Buffer.concat([CONTEXT, wire.purge])
  if (!verifyPeerSignature(purge.issuer, message, wire.signature)) {
    throw new KairoError('ERR_VERIFICATION', `a purge of ${purge.issuer} is not signed by it`)
  }
}

function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes)
  } catch (cause) {
    throw new KairoError('ERR_PROTOCOL', 'not a purge', { cause })
  }
}

function purgeOf(wire: WirePurge): Purge {
  const { version, issuer, epoch, soft } = wire
  const sequence = Number(wire.sequence)
  const issuedAtMs = Number(wire.issuedAtMs)
  check(version === VERSION, 'the version')
  check(isOrigin(issuer, epoch), 'the issuer')
  check(Number.isSafeInteger(sequence) && sequence > 0, 'the sequence')
  check(Number.isSafeInteger(issuedAtMs), 'the time')
  const selector = selectorOf(wire)
  return { issuer, epoch, sequence, issuedAtMs, selector, mode: soft ? 'soft' : 'hard' }
}

function selectorOf({ by, value, host }: WirePurge): PurgeSelector {
  check(by !== 'everything' || value === '', 'what is purged')
  check(host === '' || by === 'tag', 'the host')
  const fields = {
    url: { url: value },
    tag: { tag: value, ...(host !== '' && { host }) },
    prefix: { prefix: value },
    host: { host: value },
    everything: {},
  }
  const parsed = purgeSelectorSchema.safeParse({ by, ...fields[by as keyof typeof fields] })
  check(parsed.success, 'what is purged')
  try {
    return normaliseSelector(parsed.data as PurgeSelector)
  } catch (cause) {
    if (!isKairoError(cause)) throw cause
    throw new KairoError('ERR_PROTOCOL', 'what is purged breaks its rule', { cause })
  }
}

function wordOf(selector: PurgeSelector): string {
  switch (selector.by) {
    case 'url':
      return selector.url
    case 'tag':
      return selector.tag
    case 'prefix':
      return selector.prefix
    case 'host':
      return selector.host
    case 'everything':
      return ''
  }
}

function check(fits: boolean, what: string): void {
  if (!fits) throw new KairoError('ERR_PROTOCOL', `${what} of a purge breaks its rule`)
}
