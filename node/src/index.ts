/** The documented API of `@kairo/node`: a peer inside another program. */

export { type LoadedSettings, loadSettings, type SettingSources } from './config/load.ts'
export { type ErrorCode, KairoError } from './errors.ts'
export { type Logger, silentLogger } from './logger.ts'
export {
  createPeer,
  type Peer,
  type PeerAddresses,
  type PeerEvents,
  type PeerInit,
} from './peer.ts'
