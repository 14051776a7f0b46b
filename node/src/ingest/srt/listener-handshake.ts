/**
 * What a listener makes of a caller's handshake (draft-sharabayko-srt-01 section 4.3.1): the answer to its first packet, the
 * checks of its second, and the answers that admit or refuse it. Pure: it keeps nothing and sends nothing.
 */
import { srtLimits } from '../../limits/srt.ts'
import {
  EXTENSION,
  EXTENSION_FLAG,
  type Extension,
  HANDSHAKE_TYPE,
  type Handshake,
  type HandshakeTerms,
  readTerms,
  readText,
  SRT_FLAG,
  termsResponse,
  VERSION_5_MAGIC,
} from './handshake-codec.ts'
import { isKnownCipher, type KeyMaterial, readKeyMaterial } from './key-material.ts'
import { SrtRejection } from './rejection.ts'
import { SEQUENCE_MODULUS } from './sequence.ts'
import { streamKeyOf } from './stream-id.ts'

/** A caller whose handshake makes sense. */
export interface Caller {
  readonly handshake: Handshake
  readonly streamKey: string
  readonly latencyMs: number
  readonly terms: HandshakeTerms
  /** Undefined when the caller does not encrypt. */
  readonly keyMaterial: KeyMaterial | undefined
  /** The bytes of {@link Caller.keyMaterial}, which an acceptance repeats. */
  readonly keyMaterialBytes: Buffer | undefined
}

/** The version of SRT that this listener says it is: that of the draft's reference, 1.5.0. */
const SRT_VERSION = 0x01_05_00
/** The first version with this handshake. */
const SRT_VERSION_MIN = 0x01_03_00
const HANDSHAKE_VERSION = 5
const LIVE_CONGESTION = 'live'
const MTU_BYTES_MIN = 76
const MTU_BYTES_MAX = 1_500
const FLAGS =
  SRT_FLAG.timedSender |
  SRT_FLAG.timedReceiver |
  SRT_FLAG.crypt |
  SRT_FLAG.tooLateDrop |
  SRT_FLAG.periodicNak |
  SRT_FLAG.retransmitFlag

/** The answer to a caller's first packet: no longer than that, and without anything to remember. */
export function inductionResponse(request: Handshake, cookie: number): Handshake {
  return {
    ...request,
    version: HANDSHAKE_VERSION,
    encryption: 0,
    extensionField: VERSION_5_MAGIC,
    type: HANDSHAKE_TYPE.induction,
    cookie,
    extensions: [],
  }
}

/**
 * Reads a caller's second packet.
 * @throws SrtRejection naming what is wrong.
 */
export function readCaller(handshake: Handshake): Caller {
  if (handshake.version !== HANDSHAKE_VERSION) {
    throw new SrtRejection('version', 'the caller speaks SRT before version 1.3')
  }
  const wellFormed =
    handshake.initialSequence < SEQUENCE_MODULUS &&
    handshake.mtuBytes >= MTU_BYTES_MIN &&
    handshake.socketId !== 0
  const find = (type: number): Buffer | undefined =>
    handshake.extensions.find((extension) => extension.type === type)?.content
  const termsBytes = find(EXTENSION.hsRequest)
  const terms = termsBytes === undefined ? undefined : readTerms(termsBytes)
  if (!wellFormed || terms === undefined) {
    throw new SrtRejection('rogue', "the caller's handshake makes no sense")
  }
  if (terms.version < SRT_VERSION_MIN) {
    throw new SrtRejection('version', 'the caller speaks SRT before version 1.3')
  }
  requireLive(terms, find)
  const keyMaterialBytes = find(EXTENSION.kmRequest)
  const streamId = find(EXTENSION.streamId)
  return {
    handshake,
    streamKey: streamKeyOf(streamId === undefined ? '' : readText(streamId)),
    latencyMs: agreeOnLatency(terms.senderDelayMs),
    terms,
    keyMaterial: readKeys(keyMaterialBytes),
    keyMaterialBytes,
  }
}

/** The answer that admits a caller, as socket `socketId` of this side. */
export function acceptance(caller: Caller, socketId: number): Handshake {
  const { handshake, keyMaterialBytes, latencyMs, terms } = caller
  const extensions: Extension[] = [
    termsResponse({
      version: SRT_VERSION,
      flags: FLAGS,
      receiverDelayMs: latencyMs,
      // Nothing is sent back but control packets; the caller gets what it asks for.
      senderDelayMs: terms.receiverDelayMs,
    }),
  ]
  let extensionField: number = EXTENSION_FLAG.handshake
  if (keyMaterialBytes !== undefined) {
    extensionField |= EXTENSION_FLAG.keyMaterial
    extensions.push({ type: EXTENSION.kmResponse, content: keyMaterialBytes })
  }
  return {
    ...handshake,
    extensionField,
    mtuBytes: Math.min(handshake.mtuBytes, MTU_BYTES_MAX),
    flowWindow: srtLimits.bufferPacketsMax,
    socketId,
    extensions,
  }
}

/** The answer that refuses a caller. */
export function refusal(handshake: Handshake, rejection: SrtRejection): Handshake {
  return { ...handshake, type: rejection.wireType, extensions: [] }
}

function requireLive(terms: HandshakeTerms, find: (type: number) => Buffer | undefined): void {
  const congestion = find(EXTENSION.congestion)
  const live = congestion === undefined || readText(congestion) === LIVE_CONGESTION
  if ((terms.flags & SRT_FLAG.stream) !== 0 || !live) {
    throw new SrtRejection('congestion', 'the caller wants file transfer; send in live mode')
  }
  if (find(EXTENSION.filter) !== undefined) {
    throw new SrtRejection('filter', 'the caller wants a packet filter; send without one')
  }
  if (find(EXTENSION.group) !== undefined) {
    throw new SrtRejection('group', 'the caller wants to bond links; send over one')
  }
}

/** The caller's wish, within this peer's limits. */
function agreeOnLatency(wishMs: number): number {
  return Math.min(Math.max(wishMs, srtLimits.latencyMsMin), srtLimits.latencyMsMax)
}

function readKeys(bytes: Buffer | undefined): KeyMaterial | undefined {
  if (bytes === undefined) return undefined
  const material = readKeyMaterial(bytes)
  if (material === undefined) {
    throw new SrtRejection('rogue', "the caller's key material makes no sense")
  }
  if (!isKnownCipher(material)) {
    throw new SrtRejection('cipher', 'the caller encrypts with a cipher other than AES-CTR')
  }
  return material
}
