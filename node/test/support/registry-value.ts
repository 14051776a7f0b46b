/** Reads one metric of a registry. */
import type { Registry } from 'prom-client'

/** The sum over a metric's values that carry the labels given; 0 when there is none. */
export async function metricOf(
  registry: Registry,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const values = (await registry.getSingleMetric(name)?.get())?.values ?? []
  return values
    .filter((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0)
}
