/**
 * What a page and its edge tell each other over one WebSocket (`/swarm`, subprotocol `kairo-swarm.1`): JSON, one message a text frame, `kind` first.
 * Times are spans in milliseconds, since clocks differ. docs/protocol/swarm.md is the wire.
 */
import type { PartKey } from './part-key.ts'

/** The subprotocol of the WebSocket. */
export const swarmProtocol = 'kairo-swarm.1'

/** Who a page is for the others of its swarm: 16 characters of base64url, given by the edge. */
export type PageId = string

/** A page enters a swarm. The first message, once. */
export interface Hello {
  readonly kind: 'hello'
  /** Any text that all viewers of the same media have in common. */
  readonly swarm: string
  /** Where the edge asks for one: signed, short-lived. */
  readonly ticket?: string
  /** What the page is ready to send, bits a second; 0: nothing. */
  readonly uploadBps: number
  /** Whether it can connect to other pages at all. */
  readonly canConnect: boolean
  /** The session of a connection that broke, to keep its id. */
  readonly session?: string
}

/** Parts in a row that a page holds whole: `key` and the `count - 1` behind it (segments by sequence; parts are named one by one). */
export interface HeldParts {
  readonly key: PartKey
  readonly count: number
}

/** How a page is doing; every few seconds, and when something large changes. */
export interface PageState {
  readonly kind: 'state'
  readonly held: readonly HeldParts[]
  /** What is left to send, bits a second; 0: nothing for now. */
  readonly uploadBps: number
  /** Of other pages: round trip, and what came from them of late. */
  readonly neighbours: readonly {
    readonly id: PageId
    readonly rttMs: number
    readonly downBps: number
  }[]
}

/** Parts that the page wants and no neighbour is known to hold: who fetches? */
export interface Want {
  readonly kind: 'want'
  readonly parts: readonly {
    readonly key: PartKey
    /** From now on, until the page has to have it. */
    readonly withinMs: number
  }[]
}

/** Parts that the page has from a neighbour, or is about to, and does not know: it is told their digests as soon as the edge knows them. */
export interface Describe {
  readonly kind: 'describe'
  readonly keys: readonly PartKey[]
}

/** The page plays a live rendition at its edge and wants to be in its trees; with `rendition` absent it leaves them. */
export interface Follow {
  readonly kind: 'follow'
  readonly rendition?: string
  /** Of a part as the playlist declares it. */
  readonly partMs?: number
}

/** A part came by HTTP, whole. Ends the lease, if the page had one. */
export interface Got {
  readonly kind: 'got'
  readonly key: PartKey
  readonly bytes: number
  /** SHA-256, base64url without padding. */
  readonly digest: string
}

/** A lease is given back: HTTP failed, or the page does not want the part any more. */
export interface Failed {
  readonly kind: 'failed'
  readonly key: PartKey
}

/** A step of connecting two pages (RFC 8829; candidates as `RTCIceCandidateInit.candidate` of the first media section). */
export interface Step {
  readonly type: 'offer' | 'answer' | 'candidate'
  readonly text: string
}

/** For another page. */
export interface SignalTo {
  readonly kind: 'signal'
  readonly to: PageId
  readonly step: Step
}

/** A neighbour sent wrong bytes, or nothing of what it had promised. */
export interface Report {
  readonly kind: 'report'
  readonly peer: PageId
  readonly reason: 'bytes' | 'silent'
  readonly key: PartKey
}

/** What a page says. */
export type PageMessage =
  | Hello
  | PageState
  | Want
  | Describe
  | Follow
  | Got
  | Failed
  | SignalTo
  | Report

/** The page is in. */
export interface Welcome {
  readonly kind: 'welcome'
  readonly id: PageId
  /** To be shown to this edge, or another one of the network, after a break. */
  readonly session: string
  readonly iceServers: readonly {
    readonly urls: readonly string[]
    readonly username?: string
    readonly credential?: string
  }[]
  /** WebSocket URLs of other edges that know the swarm, best first. */
  readonly edges: readonly string[]
  /** How often `state` is wanted. */
  readonly stateEveryMs: number
}

/** Pages to connect to. This page makes the offers. */
export interface Peers {
  readonly kind: 'peers'
  readonly connect: readonly PageId[]
}

/** The page fetches a part by HTTP, for all. */
export interface Grant {
  readonly kind: 'grant'
  readonly key: PartKey
  /** How long the lease runs; `got` ends it before. */
  readonly forMs: number
}

/** Others have a part, or fetch it. */
export interface From {
  readonly kind: 'from'
  readonly key: PartKey
  /** Best first. */
  readonly peers: readonly PageId[]
  /** Whether they have it whole; else the first one has the lease. */
  readonly isWhole: boolean
  /** How long it is worth waiting, before asking again. */
  readonly forMs: number
}

/** The place of a page in one stripe's tree. */
export interface StripePlace {
  /** Absent: this page is the root, and fetches the stripe's parts by HTTP. */
  readonly parent?: PageId
  readonly children: readonly PageId[]
}

/** The places of the page in the trees of a live rendition; each message replaces the one before. No stripes: there are no trees (any more). */
export interface Tree {
  readonly kind: 'tree'
  readonly rendition: string
  /** By stripe; see `stripeOf`. */
  readonly stripes: readonly StripePlace[]
}

/** What parts are, whoever brings them. */
export interface Digests {
  readonly kind: 'digests'
  readonly parts: readonly {
    readonly key: PartKey
    readonly bytes: number
    readonly digest: string
  }[]
}

/** From another page. */
export interface SignalFrom {
  readonly kind: 'signal'
  readonly from: PageId
  readonly step: Step
}

/** A page left the swarm, or was put out of it. */
export interface Gone {
  readonly kind: 'gone'
  readonly id: PageId
}

/** There is no swarm for this page; what a person may read about why. */
export interface Off {
  readonly kind: 'off'
  readonly reason: 'ticket' | 'full' | 'unknown-swarm' | 'misbehaved'
  readonly detail: string
}

/** What an edge says. */
export type EdgeMessage = Welcome | Peers | Grant | From | Tree | Digests | SignalFrom | Gone | Off
