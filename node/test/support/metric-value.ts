// Reads one metric of a peer.
import { httpRequest } from './http-get.ts'

/** The value of a metric without labels, or the sum over its labels; 0 when there is none. */
export async function metricValue(http: string, name: string): Promise<number> {
  const { text } = await httpRequest(`${http}/metrics`)
  let sum = 0
  for (const line of text.split('\n')) {
    if (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) {
      sum += Number(line.slice(line.lastIndexOf(' ') + 1))
    }
  }
  return sum
}
