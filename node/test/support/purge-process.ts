/**
 * A peer with purges and a small cache as a process of its own, over real libp2p: told what to do, and asked, by messages of its parent.
 * Its log is in the folder that is its first argument, its cache in memory. Ends when its parent goes.
 */
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { PurgeService } from '../../src/cdn/purge/purge-service.ts'
import { DiskPurgeStorage } from '../../src/cdn/purge/purge-storage.ts'
import type { PurgeMode, PurgeSelector } from '../../src/cdn/purge-selector.ts'
import { systemClock } from '../../src/clock.ts'
import { loadIdentity } from '../../src/host/identity.ts'
import { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { peerSigner } from '../../src/host/peer-signature.ts'
import { PURGE_PROTOCOL } from '../../src/host/protocols.ts'
import { silentLogger } from '../../src/logger.ts'
import { SmallCache } from './small-cache.ts'

/** What a parent may say. */
export type PurgeCommand =
  | { readonly op: 'dial'; readonly multiaddrs: readonly string[] }
  | { readonly op: 'purge'; readonly selector: PurgeSelector; readonly mode: PurgeMode }
  | { readonly op: 'put'; readonly url: string; readonly body: string }
  | { readonly op: 'get'; readonly url: string }
  | { readonly op: 'state' }

/** What a peer serves for a URL: nothing while it does not trust its cache. */
export interface PurgeServed {
  readonly body: string | undefined
  readonly ready: boolean
}

const [home = '', expectsPeers = ''] = process.argv.slice(2)
const components = { clock: systemClock, logger: silentLogger, registry: new Registry() }
const { privateKey } = await loadIdentity(home, silentLogger)
const host = new Libp2pHost(components, {
  ...{ privateKey, listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false },
})
await host.start()
const cache = new SmallCache()
const members = () => host.peers(PURGE_PROTOCOL)
const purges = new PurgeService(
  {
    ...{ ...components, transport: host, peers: host, signer: peerSigner(privateKey) },
    ...{ purgeable: cache, random: Math.random },
    members,
    hasLeft: () => false,
  },
  {
    storage: new DiskPurgeStorage(join(home, 'purges')),
    ...{ purgePeers: ['network'], expectsPeers: () => expectsPeers === 'yes' },
  },
)
await purges.start()

async function answer(command: PurgeCommand): Promise<unknown> {
  switch (command.op) {
    case 'dial':
      return await host.dial(command.multiaddrs, { signal: AbortSignal.timeout(30_000) })
    case 'purge':
      return await purges.purge(command.selector, command.mode)
    case 'put':
      return cache.put(command.url, command.body, purges.generation())
    case 'get': {
      const ready = purges.ready()
      const body = ready ? cache.responses.get(command.url)?.body : undefined
      return { body, ready } satisfies PurgeServed
    }
    case 'state':
      return { peers: members().length, ready: purges.ready(), reports: purges.reports() }
  }
}

process.on('message', ({ id, command }: { id: number; command: PurgeCommand }) => {
  answer(command).then(
    (value) => process.send?.({ id, value }),
    (error: Error) => process.send?.({ id, error: error.message }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ ready: { peerId: host.peerId, multiaddrs: host.multiaddrs() } })
