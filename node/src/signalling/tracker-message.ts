/**
 * Messages of the WebTorrent tracker protocol, read strictly: JSON in text frames, hashes and ids as strings of one character a byte.
 * docs/protocol/webtorrent-tracker.md says what is taken; bittorrent-tracker 11 is the reference.
 */
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import { webtorrentLimits as limits } from '../limits/signalling.ts'

/** How a peer's part in a swarm goes on; `update` where the client says nothing. */
export type AnnounceEvent = 'started' | 'update' | 'completed' | 'stopped'

/** An offer of one more connection. */
export interface Offer {
  /** The client's name for it. */
  readonly offerId: string
  readonly sdp: string
}

/** A peer tells that it is in a swarm, and offers connections to others there. */
export interface Announce {
  readonly kind: 'announce'
  readonly infoHash: string
  readonly peerId: string
  readonly event: AnnounceEvent
  /** True when it has everything. */
  readonly isComplete: boolean
  readonly offers: readonly Offer[]
  /** Offers that were not read: too many, or too long. */
  readonly droppedOffers: number
}

/** A peer takes up an offer. */
export interface Answer {
  readonly kind: 'answer'
  readonly infoHash: string
  readonly peerId: string
  /** Whose offer it was. */
  readonly toPeerId: string
  readonly offerId: string
  readonly sdp: string
}

/** Somebody asks how many are in swarms. */
export interface Scrape {
  readonly kind: 'scrape'
  readonly infoHashes: readonly string[]
}

/** What a client may say. */
export type TrackerMessage = Announce | Answer | Scrape

/** Twenty bytes as the protocol writes them. */
const twentyBytes = z
  .string()
  .length(20)
  .refine((text) => Buffer.from(text, 'latin1').toString('latin1') === text, {
    error: 'expected characters up to U+00FF, one a byte',
  })

const description = <T extends string>(type: T) =>
  z.object({ type: z.literal(type), sdp: z.string() })

const announceSchema = z.object({
  info_hash: twentyBytes,
  peer_id: twentyBytes,
  event: z.enum(['started', 'update', 'completed', 'stopped', 'paused', 'empty', '']).optional(),
  left: z.unknown().optional(),
  offers: z
    .array(z.object({ offer: description('offer'), offer_id: twentyBytes }))
    .nullish()
    .transform((offers) => offers ?? []),
})

const answerSchema = z.object({
  info_hash: twentyBytes,
  peer_id: twentyBytes,
  to_peer_id: twentyBytes,
  offer_id: twentyBytes,
  answer: description('answer'),
})

const scrapeSchema = z.object({
  info_hash: z.union([twentyBytes, z.array(twentyBytes).max(limits.scrapedMax)]),
})

/**
 * Reads a message.
 * @throws KairoError `ERR_PROTOCOL` for what is none.
 */
export function readTrackerMessage(text: string): TrackerMessage {
  const json = parse(text)
  if (json.action === 'scrape') return readScrape(json)
  if (json.action !== 'announce') throw new KairoError('ERR_PROTOCOL', 'unknown action')
  // As in the reference, any announce may carry an answer, and then it is one.
  return json.answer === undefined || json.answer === null ? readAnnounce(json) : readAnswer(json)
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new KairoError('ERR_PROTOCOL', 'this is no JSON', { cause: error })
  }
  if (typeof json !== 'object' || json === null) {
    throw new KairoError('ERR_PROTOCOL', 'expected an object')
  }
  return json as Record<string, unknown>
}

function readAnnounce(json: unknown): Announce {
  const { info_hash, peer_id, event, left, offers } = checked(announceSchema, json)
  const taken = offers
    .slice(0, limits.offersMax)
    .filter(({ offer }) => offer.sdp.length <= limits.sdpCharsMax)
  const isPlainUpdate = event === undefined || event === '' || event === 'empty'
  return {
    kind: 'announce',
    infoHash: info_hash,
    peerId: peer_id,
    event: isPlainUpdate || event === 'paused' ? 'update' : event,
    isComplete: left === 0,
    offers: taken.map(({ offer, offer_id }) => ({ offerId: offer_id, sdp: offer.sdp })),
    droppedOffers: offers.length - taken.length,
  }
}

function readAnswer(json: unknown): Answer {
  const { info_hash, peer_id, to_peer_id, offer_id, answer } = checked(answerSchema, json)
  return {
    kind: 'answer',
    infoHash: info_hash,
    peerId: peer_id,
    toPeerId: to_peer_id,
    offerId: offer_id,
    sdp: answer.sdp,
  }
}

function readScrape(json: unknown): Scrape {
  const { info_hash } = checked(scrapeSchema, json)
  return { kind: 'scrape', infoHashes: [info_hash].flat() }
}

function checked<T extends z.ZodType>(schema: T, json: unknown): z.output<T> {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const where = issue?.path.join('.') ?? ''
  throw new KairoError('ERR_PROTOCOL', `${where}: ${issue?.message}`)
}
