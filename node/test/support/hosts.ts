/**
 * Real libp2p hosts on 127.0.0.1 for tests: made, joined to each other, and stopped with the test.
 */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { type Clock, systemClock } from '../../src/clock.ts'
import { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { silentLogger } from '../../src/logger.ts'

/** Settings of one test host. */
export interface TestHostOptions {
  readonly privateKey?: PrivateKey
  readonly listen?: readonly string[]
  readonly datastorePath?: string
  readonly mdns?: boolean
  readonly announce?: readonly string[]
  readonly relay?: boolean
  readonly registry?: Registry
  readonly clock?: Clock
  /** Hosts to dial after start. */
  readonly join?: readonly Libp2pHost[]
}

/** A started host; stopped at the test's end. */
export async function startHost(t: Test, options: TestHostOptions = {}): Promise<Libp2pHost> {
  const host = new Libp2pHost(
    {
      clock: options.clock ?? systemClock,
      logger: silentLogger,
      registry: options.registry ?? new Registry(),
    },
    {
      privateKey: options.privateKey ?? (await generateKeyPair('Ed25519')),
      listen: options.listen ?? ['/ip4/127.0.0.1/tcp/0'],
      mdns: options.mdns ?? false,
      announce: options.announce ?? [],
      relay: options.relay ?? false,
      ...(options.datastorePath === undefined ? {} : { datastorePath: options.datastorePath }),
    },
  )
  await host.start()
  t.teardown(() => host.stop())
  for (const other of options.join ?? []) {
    await host.dial(other.multiaddrs(), { signal: AbortSignal.timeout(60_000) })
  }
  return host
}
