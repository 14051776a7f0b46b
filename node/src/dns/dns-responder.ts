/** From the bytes of a query to the bytes of its answer: what the UDP and TCP servers share. */
import type { Registry } from 'prom-client'
import { Counter } from 'prom-client'
import type { Clock } from '../clock.ts'
import { dnsLimits } from '../limits/dns.ts'
import type { Logger } from '../logger.ts'
import { plainAddress } from '../nearest/client-subnet.ts'
import { addressOfUrl } from '../nearest/client-url.ts'
import type { NearestPeers } from '../nearest/nearest-peers.ts'
import { type DnsRequest, type Rcode, rcodes, readRequest } from './dns-query.ts'
import { encodeResponse, udpBytesMax, type ZoneFacts } from './dns-response.ts'
import type { RateVerdict } from './source-rate.ts'
import { type Resolution, resolve, type ZonePeer } from './zone.ts'

/** What answering needs. */
export interface DnsResponderComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly nearest: Pick<NearestPeers, 'rank'>
  /** Client URLs of this peer, whose addresses are those of its name server. */
  readonly ownUrls: () => readonly string[]
}

/** How a query came. */
export interface DnsArrival {
  readonly transport: 'udp' | 'tcp'
  /** Address of who asks, a resolver as a rule. */
  readonly address: string
  /** What the rate of its network leaves it. */
  readonly verdict: Exclude<RateVerdict, 'drop'>
}

const rcodeNames = Object.fromEntries(
  Object.entries(rcodes).map(([name, code]) => [code, name]),
) as Record<Rcode, string>

/** Answers queries about one zone. */
export class DnsResponder {
  readonly #components: DnsResponderComponents
  readonly #labels: readonly string[]
  readonly #queries: Counter<'transport' | 'rcode'>
  readonly #ignored: Counter<'transport'>

  /** @param init.zone name of the zone, without a dot at its end. */
  constructor(components: DnsResponderComponents, init: { readonly zone: string }) {
    this.#components = components
    this.#labels = init.zone.toLowerCase().split('.')
    const registers = [components.registry]
    this.#queries = new Counter({
      name: 'kairo_dns_queries_total',
      help: 'DNS queries that were answered, by the code of the answer.',
      labelNames: ['transport', 'rcode'],
      registers,
    })
    this.#ignored = new Counter({
      name: 'kairo_dns_ignored_total',
      help: 'DNS messages that no answer may be given to.',
      labelNames: ['transport'],
      registers,
    })
  }

  /** The answer to a message; undefined when none may be given. Never throws, whatever the bytes are. */
  respond(message: Buffer, arrival: DnsArrival): Buffer | undefined {
    const { transport } = arrival
    const request = readRequest(message)
    if (request === undefined) {
      this.#ignored.inc({ transport })
      return undefined
    }
    const resolution = this.#resolve(request, arrival)
    this.#queries.inc({ transport, rcode: rcodeNames[resolution.rcode] })
    return encodeResponse(request, resolution, this.#facts(), {
      bytesMax: transport === 'tcp' ? dnsLimits.tcpAnswerBytesMax : udpBytesMax(request),
      isCut: arrival.verdict === 'cut',
    })
  }

  #facts(): ZoneFacts {
    // Seconds, as RFC 1982 arithmetic has them; each answer may differ from the one before.
    return { labels: this.#labels, serial: Math.floor(this.#components.clock.now() / 1_000) }
  }

  #resolve(request: DnsRequest, { address, verdict }: DnsArrival): Resolution {
    const refused = { isAuthoritative: false, answers: [], authorities: [], isTailored: false }
    // What is sent without its records needs none, and should cost next to nothing.
    if (request.rcode !== rcodes.noError || verdict === 'cut') {
      return { ...refused, rcode: request.rcode }
    }
    const client = request.edns?.clientSubnet?.address ?? plainAddress(address)
    try {
      return resolve(request.question, {
        labels: this.#labels,
        peers: () => this.#peersFor(client),
        ownAddresses: addressesOf(this.#components.ownUrls()),
      })
    } catch (error) {
      this.#components.logger.error({ err: error }, 'a DNS query could not be answered')
      return { ...refused, rcode: rcodes.serverFailure }
    }
  }

  #peersFor(address: string): ZonePeer[] {
    return this.#components.nearest
      .rank({ address })
      .map(({ score, urls }) => ({ score, addresses: addressesOf(urls) }))
  }
}

function addressesOf(urls: readonly string[]): string[] {
  return urls.map(addressOfUrl).filter((address) => address !== undefined)
}
