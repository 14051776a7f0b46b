/** The few statistics that benches report. */

/** The middle value; the mean of the two in the middle when there are two. NaN for no values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The value below which `share` (0 to 1) of the values lie, interpolated. NaN for no values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const position = (sorted.length - 1) * share
  const low = sorted[Math.floor(position)] ?? Number.NaN
  const high = sorted[Math.ceil(position)] ?? Number.NaN
  return low + (high - low) * (position - Math.floor(position))
}

/** A figure with as many decimals as it deserves in a report. */
export function round(value: number, decimals = 1): number {
  return Number(value.toFixed(decimals))
}
