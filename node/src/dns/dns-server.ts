/**
 * The DNS server that leads clients to the best peers: one zone, by UDP and TCP on the same port (RFC 1035, RFC 7766), with the
 * client's subnet where resolvers tell it (RFC 7871). It answers for its zone, recurses for nobody, and sends a stranger little
 * more than the stranger sent.
 */
import { strict as assert } from 'node:assert'
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { createServer, isIPv6, type Server, type Socket } from 'node:net'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import { KairoError } from '../errors.ts'
import { dnsLimits } from '../limits/dns.ts'
import type { Logger } from '../logger.ts'
import { clientSubnet } from '../nearest/client-subnet.ts'
import { DnsConnection } from './dns-connection.ts'
import { DnsResponder, type DnsResponderComponents } from './dns-responder.ts'
import { SourceRate } from './source-rate.ts'

/** What the server needs. */
export interface DnsServerComponents extends DnsResponderComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
}

/** What the server is. */
export interface DnsServerInit {
  readonly host: string
  /** 0 takes a port that is free for UDP and TCP. */
  readonly port: number
  /** Name that is answered for, with everything below it. */
  readonly zone: string
}

/** Answers DNS between {@link start} and {@link stop}. */
export class DnsServer {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #init: DnsServerInit
  readonly #responder: DnsResponder
  readonly #udpRate: SourceRate
  /** Apart from UDP's, which whoever forges addresses can use up for others. */
  readonly #tcpRate: SourceRate
  readonly #limited: Counter<'verdict'>
  readonly #connections = new Map<DnsConnection, string>()
  #udp: UdpSocket | undefined
  #tcp: Server | undefined

  constructor(components: DnsServerComponents, init: DnsServerInit) {
    assert(init.zone !== '', 'a DNS server has a zone')
    this.#clock = components.clock
    this.#logger = components.logger.child({ name: 'kairo:dns' })
    this.#init = init
    this.#responder = new DnsResponder({ ...components, logger: this.#logger }, init)
    this.#udpRate = new SourceRate(components)
    this.#tcpRate = new SourceRate(components)
    const registers = [components.registry]
    this.#limited = new Counter({
      name: 'kairo_dns_limited_total',
      help: 'DNS messages and connections beyond a limit: cut (sent empty), dropped, or refused a connection.',
      labelNames: ['verdict'],
      registers,
    })
    const connections = this.#connections
    new Gauge({
      name: 'kairo_dns_connections',
      help: 'TCP connections of DNS clients.',
      registers,
      collect() {
        this.set(connections.size)
      },
    })
  }

  /**
   * Listens.
   * @throws KairoError `ERR_ADDRESS_IN_USE` when another program has the port, `ERR_CONFIG` when the address cannot be bound.
   */
  async start(): Promise<void> {
    assert(this.#udp === undefined, 'the DNS server is started once')
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#listen()
        break
      } catch (cause) {
        await this.stop()
        const isTaken = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE'
        // A free UDP port may be taken for TCP; another may not.
        if (isTaken && this.#init.port === 0 && attempt < dnsLimits.portAttemptsMax) continue
        throw listenError(this.#init, cause as NodeJS.ErrnoException)
      }
    }
    const { zone } = this.#init
    this.#logger.info({ zone, ...this.address() }, 'answers DNS')
  }

  /** Closes sockets and connections. */
  async stop(): Promise<void> {
    const [udp, tcp] = [this.#udp, this.#tcp]
    this.#udp = undefined
    this.#tcp = undefined
    for (const connection of this.#connections.keys()) connection.close()
    await Promise.all([
      udp === undefined ? undefined : new Promise<void>((resolve) => udp.close(resolve)),
      tcp?.listening === true
        ? new Promise<void>((resolve) => tcp.close(() => resolve()))
        : undefined,
    ])
  }

  /** Where it listens. */
  address(): { readonly host: string; readonly port: number } {
    assert(this.#udp !== undefined, 'the DNS server is running')
    const { address, port } = this.#udp.address()
    return { host: address, port }
  }

  async #listen(): Promise<void> {
    const { host, port } = this.#init
    const udp = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4' })
    this.#udp = udp
    udp.on('message', (message, source) => this.#onMessage(udp, message, source))
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject)
      udp.bind(port, host, () => {
        udp.off('error', reject)
        resolve()
      })
    })
    udp.on('error', (error) => this.#logger.warn({ err: error }, 'the DNS socket has trouble'))
    const tcp = createServer((socket) => this.#onConnection(socket))
    this.#tcp = tcp
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject)
      tcp.listen(udp.address().port, host, () => {
        tcp.off('error', reject)
        resolve()
      })
    })
    tcp.on('error', (error) => this.#logger.warn({ err: error }, 'the DNS listener has trouble'))
  }

  #onMessage(udp: UdpSocket, message: Buffer, { address, port }: RemoteInfo): void {
    // Port 0 is nobody's; an answer there goes nowhere.
    if (port === 0) return
    const verdict = this.#udpRate.judge(address)
    if (verdict !== 'send') this.#limited.inc({ verdict })
    if (verdict === 'drop') return
    const answer = this.#responder.respond(message, { transport: 'udp', address, verdict })
    if (answer === undefined) return
    udp.send(answer, port, address, (error) => {
      if (error !== null) this.#logger.debug({ err: error }, 'a DNS answer could not be sent')
    })
  }

  #onConnection(socket: Socket): void {
    const address = socket.remoteAddress ?? ''
    const source = clientSubnet(address)
    const { connectionsMax, connectionsPerSourceMax } = dnsLimits
    const ofSource = [...this.#connections.values()].filter((other) => other === source).length
    if (this.#connections.size >= connectionsMax || ofSource >= connectionsPerSourceMax) {
      this.#limited.inc({ verdict: 'refused' })
      socket.destroy()
      return
    }
    const connection = new DnsConnection(
      {
        clock: this.#clock,
        answer: (message) => {
          // The handshake proves the address, so what is sent there is wanted; only its number is bounded.
          if (this.#tcpRate.judge(address) === 'send') {
            return this.#responder.respond(message, { transport: 'tcp', address, verdict: 'send' })
          }
          this.#limited.inc({ verdict: 'drop' })
          return undefined
        },
        onClose: () => this.#connections.delete(connection),
      },
      socket,
    )
    this.#connections.set(connection, source)
  }
}

function listenError({ host, port }: DnsServerInit, cause: NodeJS.ErrnoException): KairoError {
  const where = `${host} port ${port}`
  if (cause.code === 'EADDRINUSE') {
    return new KairoError(
      'ERR_ADDRESS_IN_USE',
      `cannot answer DNS on ${where}: another program uses that port. Choose another with --dns.`,
      { cause },
    )
  }
  const hint =
    cause.code === 'EACCES' ? ' Ports below 1024 need the right CAP_NET_BIND_SERVICE.' : ''
  return new KairoError('ERR_CONFIG', `cannot answer DNS on ${where}: ${cause.code}.${hint}`, {
    cause,
  })
}
