/** The peer's metrics registry, with what Node itself can tell (CPU, memory, event-loop lag, garbage collection). */
import { collectDefaultMetrics, Registry } from 'prom-client'

/** A registry for one peer; rooms register their metrics on it, `/metrics` prints it. */
export function createRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}
