/**
 * What pages and edges say to each other, for both sides: message types, their readers and writer, limits, names of parts. It needs nothing of a browser.
 * docs/protocol/swarm.md is the wire.
 */
export {
  type Describe,
  type Digests,
  type EdgeMessage,
  type Failed,
  type Follow,
  type From,
  type Gone,
  type Got,
  type Grant,
  type HeldParts,
  type Hello,
  type Off,
  type PageId,
  type PageMessage,
  type PageState,
  type Peers,
  type Report,
  type SignalFrom,
  type SignalTo,
  type Step,
  type StripePlace,
  swarmProtocol,
  type Tree,
  type Want,
  type Welcome,
} from './edge-messages.ts'
export { protocolLimits } from './limits.ts'
export { type PartKey, type PartPlace, partKey, readPartKey, stripeOf } from './part-key.ts'
export { ProtocolError } from './protocol-error.ts'
export { readEdgeMessage } from './read-edge-message.ts'
export { readPageMessage } from './read-page-message.ts'
export { type RenditionTraits, renditionName } from './rendition-name.ts'
export { writeMessage } from './write-message.ts'
