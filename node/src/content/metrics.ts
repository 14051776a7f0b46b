/**
 * Metrics of classes that exist many times in one peer (one per stream, rendition or feed): the first of them registers the
 * metric, the others share it.
 */
import { Counter, Gauge, type Registry } from 'prom-client'

/** The counter of that name in the registry, made on first use. */
export function sharedCounter<Label extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly Label[] = [],
): Counter<Label> {
  const known = registry.getSingleMetric(name)
  if (known instanceof Counter) return known as Counter<Label>
  return new Counter({ name, help, labelNames, registers: [registry] })
}

/** The gauge of that name in the registry, made on first use. */
export function sharedGauge<Label extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly Label[] = [],
): Gauge<Label> {
  const known = registry.getSingleMetric(name)
  if (known instanceof Gauge) return known as Gauge<Label>
  return new Gauge({ name, help, labelNames, registers: [registry] })
}
