/**
 * One connection to another page: the steps to it (RFC 8829, RFC 8838), and its two data channels, which both sides create alike (RFC 8832 is not
 * needed then), so that the first byte can go one round trip earlier.
 */
import type { CancelTimer, Clock } from '../clock.ts'
import type { Step } from '../protocol/edge-messages.ts'
import { meshLimits as limits } from './limits.ts'

/** What it works with. */
export interface PeerLinkComponents {
  readonly clock: Clock
  /** @throws where the browser has none, or refuses the configuration */
  readonly createConnection: (config: RTCConfiguration) => RTCPeerConnection
}

/** How it is set up, and who is told. */
export interface PeerLinkInit {
  readonly config: RTCConfiguration
  /** This side makes the offer. */
  readonly isOffering: boolean
  readonly onStep: (step: Step) => void
  /** Both channels are open. */
  readonly onOpen: () => void
  readonly onControl: (data: unknown) => void
  readonly onChunk: (data: unknown) => void
  /** The chunks' channel has room again. */
  readonly onRoom: () => void
  /** Once; not after {@link PeerLink.close}. */
  readonly onClosed: (reason: 'failed' | 'closed') => void
}

/** A connection. */
export class PeerLink {
  readonly #init: PeerLinkInit
  readonly #connection: RTCPeerConnection
  readonly control: RTCDataChannel
  readonly chunks: RTCDataChannel
  #state: 'connecting' | 'open' | 'closed' = 'connecting'
  /** The text of this side's description, once it is told. */
  #told: string | undefined
  /** The other side's candidates can be taken. */
  #hasRemote = false
  /** Own ones, until the description is told; and the other side's, until theirs is taken. */
  #ownEarly: string[] = []
  #theirEarly: string[] = []
  #theirCandidates = 0
  readonly #cancelTimer: CancelTimer

  /** @throws as `createConnection` does */
  constructor(components: PeerLinkComponents, init: PeerLinkInit) {
    this.#init = init
    this.#connection = components.createConnection(init.config)
    this.control = this.#connection.createDataChannel('control', { negotiated: true, id: 0 })
    this.chunks = this.#connection.createDataChannel('chunks', {
      ...{ negotiated: true, id: 1, ordered: false },
    })
    this.#listen()
    this.#cancelTimer = components.clock.after(limits.upMsMax, () => this.#fail('failed'))
    if (init.isOffering) this.#try(() => this.#describe('offer'))
  }

  /** This side's offer, which waits for an answer; undefined where none does. */
  get openOffer(): string | undefined {
    return this.#init.isOffering && !this.#hasRemote ? this.#told : undefined
  }

  /** This side makes the offer, and has no answer yet. */
  get isOffering(): boolean {
    return this.#init.isOffering && !this.#hasRemote
  }

  /** A step of the other side; one that does not fit is ignored, and the connection fails for lack of the right one. */
  takeStep({ type, text }: Step): void {
    if (this.#state === 'closed') return
    if (type === 'candidate') {
      this.#takeCandidate(text)
    } else if (type === this.#awaited && !this.#hasRemote && isForData(text)) {
      this.#hasRemote = true
      this.#try(() => this.#takeDescription(type, text))
    }
  }

  get #awaited(): Step['type'] {
    return this.#init.isOffering ? 'answer' : 'offer'
  }

  /** Ends it; nobody is told. */
  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#cancelTimer()
    this.#ownEarly = []
    this.#theirEarly = []
    this.#connection.close()
  }

  #listen(): void {
    const { control, chunks } = this
    const connection = this.#connection
    control.binaryType = 'arraybuffer'
    chunks.binaryType = 'arraybuffer'
    chunks.bufferedAmountLowThreshold = limits.lowBytes
    connection.onicecandidate = ({ candidate }) => this.#tellCandidate(candidate?.candidate)
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === 'failed') this.#fail('failed')
    }
    for (const channel of [control, chunks]) {
      channel.onopen = () => this.#opened()
      channel.onclose = () => this.#fail('closed')
    }
    control.onmessage = ({ data }) => this.#isOpen(() => this.#init.onControl(data))
    chunks.onmessage = ({ data }) => this.#isOpen(() => this.#init.onChunk(data))
    chunks.onbufferedamountlow = () => this.#isOpen(() => this.#init.onRoom())
  }

  /** Messages come when the other side has both channels open; here the second one may be a moment behind. */
  #isOpen(then: () => void): void {
    if (this.#state === 'connecting') this.#open()
    if (this.#state === 'open') then()
  }

  #opened(): void {
    const { control, chunks } = this
    if (control.readyState === 'open' && chunks.readyState === 'open') this.#open()
  }

  #open(): void {
    if (this.#state !== 'connecting') return
    this.#state = 'open'
    this.#cancelTimer()
    this.#init.onOpen()
  }

  async #describe(type: 'offer' | 'answer'): Promise<void> {
    await this.#connection.setLocalDescription()
    const text = this.#connection.localDescription?.sdp
    if (this.#isClosed || text === undefined) return
    this.#told = text
    this.#init.onStep({ type, text })
    const early = this.#ownEarly
    this.#ownEarly = []
    for (const candidate of early) this.#tellCandidate(candidate)
  }

  async #takeDescription(type: 'offer' | 'answer', sdp: string): Promise<void> {
    await this.#connection.setRemoteDescription({ type, sdp })
    if (this.#isClosed) return
    const early = this.#theirEarly
    this.#theirEarly = []
    for (const candidate of early) this.#addCandidate(candidate)
    if (type === 'offer') await this.#describe('answer')
  }

  /** The end of candidates is not told: nobody waits for it. */
  #tellCandidate(text: string | undefined): void {
    if (!text || this.#isClosed) return
    if (this.#told === undefined) {
      if (this.#ownEarly.length < limits.candidatesMax) this.#ownEarly.push(text)
    } else this.#init.onStep({ type: 'candidate', text })
  }

  #takeCandidate(text: string): void {
    this.#theirCandidates += 1
    if (this.#theirCandidates > limits.candidatesMax) return
    if (this.#connection.remoteDescription === null) this.#theirEarly.push(text)
    else this.#addCandidate(text)
  }

  /** One that the browser does not take (of an offer that was given up, of a kind it does not know) is one address less. */
  #addCandidate(candidate: string): void {
    this.#connection.addIceCandidate({ candidate, sdpMLineIndex: 0 }).catch(() => {})
  }

  #try(step: () => Promise<void>): void {
    step().catch(() => this.#fail('failed'))
  }

  #fail(reason: 'failed' | 'closed'): void {
    if (this.#state === 'closed') return
    this.close()
    this.#init.onClosed(reason)
  }

  get #isClosed(): boolean {
    return this.#state === 'closed'
  }
}

/** Whether a description has data channels and no media, which a page that answers would have to take. */
function isForData(sdp: string): boolean {
  const sections = sdp.match(/^m=.*$/gm) ?? []
  return sections.length === 1 && sections[0]?.startsWith('m=application ') === true
}
