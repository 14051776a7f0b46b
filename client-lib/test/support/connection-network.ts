/**
 * Peer connections in memory, as far as the mesh uses them: descriptions are taken in the order that browsers insist on, and the channels open when
 * each side has the other's description and one of its addresses. Messages flow by themselves.
 */
import { TestChannel } from './channel-pair.ts'

/** What is sent in one turn of a channel: small enough to make senders wait. */
const turnBytes = 100_000

/** Connections that can reach one another. */
export class TestNetwork {
  readonly connections: TestConnection[] = []
  /** Nothing reaches anybody while false. */
  isUp = true

  readonly createConnection = (config: RTCConfiguration): RTCPeerConnection => {
    const connection = new TestConnection(this, this.connections.length, config)
    this.connections.push(connection)
    return connection as unknown as RTCPeerConnection
  }
}

/** One connection. */
export class TestConnection {
  readonly #network: TestNetwork
  readonly #no: number
  readonly config: RTCConfiguration
  readonly channels: TestChannel[] = []
  readonly candidates: string[] = []
  localDescription: RTCSessionDescriptionInit | null = null
  remoteDescription: RTCSessionDescriptionInit | null = null
  connectionState: RTCPeerConnectionState = 'new'
  onicecandidate: ((event: { candidate: { candidate: string } | null }) => void) | null = null
  onconnectionstatechange: (() => void) | null = null

  constructor(network: TestNetwork, no: number, config: RTCConfiguration) {
    this.#network = network
    this.#no = no
    this.config = config
  }

  createDataChannel(_label: string, { id }: { id: number }): TestChannel {
    const channel = new TestChannel()
    channel.onWaiting = () => this.#flow(channel)
    this.channels[id] = channel
    return channel
  }

  async setLocalDescription(): Promise<void> {
    await turn()
    this.#insist('set local')
    const type = this.remoteDescription?.type === 'offer' ? 'answer' : 'offer'
    this.localDescription = { type, sdp: sdpOf(this.#no) }
    for (const candidate of [`candidate:${this.#no} a`, `candidate:${this.#no} b`, '']) {
      this.onicecandidate?.({ candidate: candidate === '' ? null : { candidate } })
    }
    this.#connect()
  }

  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    await turn()
    this.#insist('set remote')
    if (!/^v=0/.test(description.sdp ?? '')) throw new DOMException('bad', 'OperationError')
    this.remoteDescription = description
    this.#connect()
  }

  async addIceCandidate({ candidate }: RTCIceCandidateInit): Promise<void> {
    await turn()
    if (this.remoteDescription === null) throw new DOMException('early', 'InvalidStateError')
    if (candidate?.startsWith('candidate:') !== true)
      throw new DOMException('bad', 'OperationError')
    this.candidates.push(candidate)
    this.#connect()
  }

  /** The other side's channels close, as when its association ends. */
  close(): void {
    const peer = this.#peer
    this.connectionState = 'closed'
    for (const channel of this.channels) channel.readyState = 'closed'
    for (const channel of peer?.channels ?? []) if (channel.readyState === 'open') channel.close()
  }

  /** The addresses reach one another no more, or never did. */
  fail(): void {
    this.connectionState = 'failed'
    this.onconnectionstatechange?.()
  }

  get #peer(): TestConnection | undefined {
    const { sdp } = this.remoteDescription ?? {}
    return this.#network.connections.find((other) => sdpOf(other.#no) === sdp)
  }

  #insist(what: string): void {
    if (this.connectionState === 'closed') throw new DOMException(what, 'InvalidStateError')
  }

  #connect(): void {
    const peer = this.#peer
    if (peer === undefined || peer.#peer !== this) return
    if (!this.#network.isUp || this.connectionState === 'connected') return
    const hasWay = [this, peer].every(({ candidates }) => candidates.length > 0)
    const hasAll = [this, peer].every(({ localDescription }) => localDescription !== null)
    if (!hasWay || !hasAll) return
    this.connectionState = 'connected'
    peer.connectionState = 'connected'
    for (const [id, channel] of this.channels.entries()) {
      const other = peer.channels[id] as TestChannel
      channel.peer = other
      other.peer = channel
    }
    setImmediate(() => {
      for (const channel of [...this.channels, ...peer.channels]) {
        if (channel.readyState === 'connecting') channel.readyState = 'open'
      }
      for (const channel of [...this.channels, ...peer.channels]) channel.onopen?.()
    })
  }

  #flow(channel: TestChannel): void {
    setImmediate(() => {
      if (!this.#network.isUp || channel.readyState !== 'open') return
      channel.flow(turnBytes)
      if (channel.waiting.length > 0) this.#flow(channel)
    })
  }
}

function sdpOf(no: number): string {
  return `v=0\r\no=- ${no} 2 IN IP4 127.0.0.1\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n`
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
