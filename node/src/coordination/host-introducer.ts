/**
 * Introduces trackers to one another, so that their threads talk over sockets of their own: the host's connection says who the other one is and
 * where it was reached, and carries the secret of one line. docs/protocol/lines.md has the exchange.
 */
import type { LineAddress, LineIntroducer, LineInvitation, ListenAddress } from '@kairo/tracker'
import type { Clock } from '../clock.ts'
import { deadline } from '../deadline.ts'
import { KairoError } from '../errors.ts'
import { LINE_PROTOCOL } from '../host/protocols.ts'
import type { PeerStream, Transport } from '../host/transport.ts'
import { introductionLimits } from '../limits/coordination.ts'

/** The host, as far as introductions need it. */
export interface IntroducingHost extends Transport {
  /** Host of the address at which this peer reached another one, without a relay; undefined when it is the other one that came. */
  dialledHost(peerId: string): string | undefined
  /** Host of the first TCP address that is listened on; undefined when there is none. */
  listenHost(): string | undefined
}

/** What introductions work with. */
export interface HostIntroducerComponents {
  readonly clock: Clock
  readonly host: IntroducingHost
}

/** Settings of introductions. */
export interface HostIntroducerInit {
  /** TCP port of direct lines; 0: a free one. */
  readonly port: number
}

const VERSION = 1
const NAME_BYTES = 16
const SECRET_BYTES = 32
/** Version, port, name, secret. */
const INVITATION_BYTES = 3 + NAME_BYTES + SECRET_BYTES

/** The introductions of one peer. */
export class HostIntroducer implements LineIntroducer {
  readonly #components: HostIntroducerComponents
  readonly #init: HostIntroducerInit
  #invite: ((peerId: string) => Promise<LineInvitation | undefined>) | undefined

  constructor(components: HostIntroducerComponents, init: HostIntroducerInit) {
    this.#components = components
    this.#init = init
  }

  get listen(): ListenAddress | undefined {
    const host = this.#components.host.listenHost()
    return host === undefined ? undefined : { host, port: this.#init.port }
  }

  /** Answers those who ask, once {@link answer} has said how. */
  async begin(): Promise<void> {
    await this.#components.host.handle(LINE_PROTOCOL, (stream) => this.#serve(stream))
  }

  answer(invite: (peerId: string) => Promise<LineInvitation | undefined>): void {
    this.#invite = invite
  }

  async ask(peerId: string): Promise<LineAddress | undefined> {
    const { clock, host: peerHost } = this.#components
    const host = peerHost.dialledHost(peerId)
    if (host === undefined) return undefined
    const limit = deadline(clock, introductionLimits.askMsMax)
    try {
      const stream = await peerHost.open(peerId, LINE_PROTOCOL, { signal: limit.signal })
      const invitation = await askOver(stream, limit.signal)
      return invitation && { host, ...invitation }
    } finally {
      limit.clear()
    }
  }

  async #serve(stream: PeerStream): Promise<void> {
    const asked = await stream.incoming[Symbol.asyncIterator]().next()
    const isKnown = asked.done !== true && asked.value[0] === VERSION
    const invitation = isKnown ? await this.#invite?.(stream.remotePeer) : undefined
    await stream.write(writeInvitation(invitation))
  }
}

async function askOver(stream: PeerStream, signal: AbortSignal) {
  const giveUp = (): void => stream.abort(new KairoError('ERR_TIMEOUT', 'no invitation came'))
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await stream.write(Uint8Array.of(VERSION))
    const invitation = readInvitation(await readAll(stream))
    await stream.close()
    return invitation
  } catch (error) {
    stream.abort(error as Error)
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

/** One byte without an invitation. */
function writeInvitation(invitation: LineInvitation | undefined): Uint8Array {
  if (invitation === undefined) return Uint8Array.of(VERSION)
  const bytes = Buffer.alloc(INVITATION_BYTES)
  bytes[0] = VERSION
  bytes.writeUInt16BE(invitation.port, 1)
  bytes.write(invitation.name, 3, 'base64url')
  bytes.set(invitation.secret, 3 + NAME_BYTES)
  return bytes
}

/** @throws KairoError `ERR_PROTOCOL` */
function readInvitation(bytes: Buffer): LineInvitation | undefined {
  if (bytes[0] !== VERSION) throw new KairoError('ERR_PROTOCOL', 'an answer of another version')
  if (bytes.byteLength === 1) return undefined
  if (bytes.byteLength !== INVITATION_BYTES) {
    throw new KairoError('ERR_PROTOCOL', 'an invitation of another length')
  }
  const port = bytes.readUInt16BE(1)
  if (port === 0) throw new KairoError('ERR_PROTOCOL', 'an invitation without a port')
  const name = bytes.toString('base64url', 3, 3 + NAME_BYTES)
  return { port, name, secret: Uint8Array.from(bytes.subarray(3 + NAME_BYTES)) }
}

async function readAll(stream: PeerStream): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stream.incoming) {
    bytes += chunk.byteLength
    if (bytes > INVITATION_BYTES) throw new KairoError('ERR_PROTOCOL', 'an answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
