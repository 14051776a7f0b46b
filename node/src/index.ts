/**
 * The documented API of `@kairo/node`: a peer inside another program.
 *
 *     const peer = createPeer({ ...loadSettings({ flags: { home: '/var/lib/kairo' }, env: {} }), logger: silentLogger })
 *     await peer.start()
 *     peer.events.on('stream', ({ name, state }) => console.log(name, state))
 *     console.log(peer.addresses().http)
 *     await peer.stop()
 *
 * Settings are described in docs/settings.md. Failures are {@link KairoError}s, whose `code` is stable.
 */

export { type LoadedSettings, loadSettings, type SettingSources } from './config/load.ts'
export { type ErrorCode, KairoError } from './errors.ts'
export { type Logger, silentLogger } from './logger.ts'
export type { PeerAddresses } from './peer/addresses.ts'
export { createPeer, type Peer, type PeerEvents, type PeerInit } from './peer.ts'
