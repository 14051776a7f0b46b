/** Coordination over a real host, with a real tracker in its thread; nothing is started yet. */
import { join } from 'node:path'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import {
  type CoordinationInit,
  CoordinationService,
} from '../../src/coordination/coordination-service.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { silentLogger } from '../../src/logger.ts'
import { startHost } from './hosts.ts'

/** One peer's. */
export interface CoordinationStage {
  readonly host: Libp2pHost
  readonly registry: Registry
  readonly service: CoordinationService
}

/** Makes it; stopped with the test. */
export async function startCoordination(
  t: Test,
  init: Partial<CoordinationInit> = {},
): Promise<CoordinationStage> {
  const host = await startHost(t)
  const registry = new Registry()
  // Nothing else of such a test keeps the process alive.
  const keepAlive = setInterval(() => undefined, 1_000)
  const service = new CoordinationService(
    {
      ...{ clock: systemClock, logger: silentLogger, registry, host, random: Math.random },
      peerFacts: () => ({ isReachable: true, load: 0.25, roles: ['ingest'] }),
      expectsPeers: async () => false,
    },
    {
      folder: init.folder ?? join(t.testdir(), 'tracker'),
      ...{ region: 'eu', regionPeers: ['network'], regionPort: 0, coordinationUrl: '' },
      ...init,
    },
  )
  t.teardown(async () => {
    clearInterval(keepAlive)
    await service.stop()
  })
  return { host, registry, service }
}
