/** The edge of pages behind a real HTTP server, on the machine's clock. */
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { silentLogger } from '../../src/logger.ts'
import { createRegistry } from '../../src/metrics/registry.ts'
import { SwarmEdge } from '../../src/signalling/swarm/swarm-edge.ts'
import { metric, startTestServer, stopTestServer } from './http-exchange.ts'

/** A running one. */
export interface RunningSwarmEdge {
  /** Its WebSocket. */
  readonly url: string
  /** One of its metrics, `kairo_swarm_<name>`. */
  count(name: string, labels?: Record<string, string>): Promise<number>
  /** Ends it, before the test does. */
  stop(): Promise<void>
}

/** Starts one that ends with the test. */
export async function startSwarmEdge(t: Test): Promise<RunningSwarmEdge> {
  const registry = createRegistry()
  const edge = new SwarmEdge(
    { clock: systemClock, registry, logger: silentLogger, random: Math.random },
    { origins: ['*'], secret: 'a secret of this test' },
  )
  const http = await startTestServer({ upgrades: [edge.route] })
  edge.start()
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopped ??= edge.stop().then(() => stopTestServer(http))
    return stopped
  }
  t.teardown(stop)
  return {
    url: `ws://127.0.0.1:${http.port}/swarm`,
    count: (name, labels = {}) => metric(registry, `kairo_swarm_${name}`, labels),
    stop,
  }
}
