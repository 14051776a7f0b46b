/**
 * Gossip over gossipsub (libp2p pubsub spec, gossipsub v1.1/1.2): the only file that imports the gossipsub package, whose
 * name and settings have changed under libp2p more than once.
 */
import { type GossipSub, gossipsub, type Message, TopicValidatorResult } from '@libp2p/gossipsub'
import { createTopicScoreParams } from '@libp2p/gossipsub/score'
import type { PeerId } from '@libp2p/interface'
import { Counter, type Registry } from 'prom-client'
import { KairoError } from '../errors.ts'
import { hostLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import type { Gossip, GossipVerdict } from './network.ts'
import { GOSSIP_TOPICS } from './protocols.ts'

/** The libp2p service behind {@link GossipsubGossip}. */
export type GossipService = GossipSub

/** Score below which a peer's messages are dropped unread; the package's default, which the weight below is made for. */
const GRAYLIST_THRESHOLD = -80

/**
 * Only invalid messages count, by their number squared: a network of a few streams has too little traffic to judge a peer
 * by what it delivers, and without any of this a neighbour that sends junk is read, and its signatures checked, for ever.
 */
const topicScore = createTopicScoreParams({
  topicWeight: 1,
  timeInMeshWeight: 0,
  firstMessageDeliveriesWeight: 0,
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: GRAYLIST_THRESHOLD / hostLimits.gossipInvalidMessagesMax ** 2,
  // Each second: hundreds of invalid messages are forgotten within a minute or two.
  invalidMessageDeliveriesDecay: 0.95,
})

/**
 * Bounded in size, no penalty for peers that share an address, and no ear for those that send junk. Messages are not signed by those who
 * publish them: everything that is gossiped is signed by whom it speaks of, and a second signature cost a sixth of an idle peer's work.
 */
export function gossipService(): ReturnType<typeof gossipsub> {
  return gossipsub({
    emitSelf: false,
    globalSignaturePolicy: 'StrictNoSign',
    // Without a signature a message is known by its content: the same said again within two minutes is no news.
    ignoreDuplicatePublishError: true,
    // The mesh has a message at every peer in a few hops; sending it to all neighbours as well makes twenty copies of each.
    floodPublish: false,
    // A lone peer announces too; whoever comes later is told on connection.
    allowPublishToZeroTopicPeers: true,
    maxInboundDataLength: hostLimits.gossipMessageBytesMax,
    // Messages on any other topic would be kept and passed on by whoever listens to none of them.
    allowedTopics: [...GOSSIP_TOPICS],
    // One message of a neighbour after the other, as the validator gives way between them: what a neighbour sends faster
    // than that waits in its own window instead of in front of every viewer.
    awaitRpcHandler: true,
    awaitRpcMessageHandler: true,
    // The default weight mutes peers as soon as more than ten share one address: a LAN behind NAT, a machine with many peers.
    scoreParams: {
      IPColocationFactorWeight: 0,
      topics: Object.fromEntries(GOSSIP_TOPICS.map((topic) => [topic, topicScore])),
    },
    scoreThresholds: { graylistThreshold: GRAYLIST_THRESHOLD },
  })
}

const results: Record<GossipVerdict, TopicValidatorResult> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

/** {@link Gossip} over a running gossipsub service. */
export class GossipsubGossip implements Gossip {
  readonly #service: () => GossipSub
  readonly #logger: Logger
  readonly #messages: Counter<'verdict'>

  constructor(components: {
    readonly logger: Logger
    readonly registry: Registry
    /** The service; asked for at each use, since libp2p makes it at start. */
    readonly service: () => GossipSub
  }) {
    this.#service = components.service
    this.#logger = components.logger
    this.#messages = new Counter({
      name: 'kairo_host_gossip_messages_total',
      help: 'Gossip messages heard, by what became of them.',
      labelNames: ['verdict'],
      registers: [components.registry],
    })
  }

  subscribe(topic: string, handler: (data: Uint8Array, from: string) => GossipVerdict): void {
    const service = this.#service()
    service.topicValidators.set(topic, async (peer: PeerId, message: Message) => {
      await new Promise((resolve) => setImmediate(resolve))
      const verdict = this.#judge(handler, message, peer)
      this.#messages.inc({ verdict })
      return results[verdict]
    })
    service.subscribe(topic)
  }

  unsubscribe(topic: string): void {
    const service = this.#service()
    service.topicValidators.delete(topic)
    service.unsubscribe(topic)
  }

  async publish(topic: string, data: Uint8Array): Promise<number> {
    if (data.byteLength > hostLimits.gossipMessageBytesMax) {
      throw new KairoError('ERR_LIMIT', `a gossip message of ${data.byteLength} bytes is too large`)
    }
    const { recipients } = await this.#service().publish(topic, data)
    return recipients.length
  }

  #judge(
    handler: (data: Uint8Array, from: string) => GossipVerdict,
    message: Message,
    peer: PeerId,
  ): GossipVerdict {
    try {
      return handler(message.data, peer.toString())
    } catch (error) {
      this.#logger.error({ err: error, topic: message.topic }, 'a gossip handler failed')
      return 'ignore'
    }
  }
}
