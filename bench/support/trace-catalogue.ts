/**
 * The objects of the Zipf trace and the order in which they are asked for: the same for every cache and in every run. How large an object
 * is has nothing to do with how often it is asked for.
 */

/** Objects of the catalogue. */
export const TRACE_OBJECTS = 20_000
/** The nth object is asked for as often as 1/n: the law itself. */
const ALPHA = 1
const SEED = 1
/** Sizes are log-normal, as those of pictures, scripts and pages are: half of them below 10 KiB, a mean of some 20. */
const MEDIAN_BYTES = 10 * 1024
const SPREAD = 1.2
const BYTES_MIN = 256
const BYTES_MAX = 1024 * 1024
/** Blocks in which nginx counts what it holds, and what it puts before a body: its own head, the key, and the origin's head. */
const NGINX_BLOCK_BYTES = 4_096
const NGINX_HEAD_BYTES = 600

/** Length of an object's body, by its number from 0. */
export function traceObjectBytes(index: number): number {
  // Two even numbers make one of a normal distribution (Box and Muller).
  const radius = Math.sqrt(-2 * Math.log(1 - shuffled(2 * index)))
  const normal = radius * Math.cos(2 * Math.PI * shuffled(2 * index + 1))
  const bytes = Math.round(MEDIAN_BYTES * Math.exp(SPREAD * normal))
  return Math.min(BYTES_MAX, Math.max(BYTES_MIN, bytes))
}

/** Bytes of all bodies; and of the files that nginx would keep them in, whole blocks each. */
export function traceBytes(): { readonly bodies: number; readonly nginxFiles: number } {
  let [bodies, nginxFiles] = [0, 0]
  for (let index = 0; index < TRACE_OBJECTS; index += 1) {
    const bytes = traceObjectBytes(index)
    bodies += bytes
    nginxFiles += Math.ceil((bytes + NGINX_HEAD_BYTES) / NGINX_BLOCK_BYTES) * NGINX_BLOCK_BYTES
  }
  return { bodies, nginxFiles }
}

/** Gives the number of one object after the other, 0 the most often. */
export function zipfTrace(): () => number {
  const sums = new Float64Array(TRACE_OBJECTS)
  let sum = 0
  for (let rank = 0; rank < TRACE_OBJECTS; rank += 1) {
    sum += (rank + 1) ** -ALPHA
    sums[rank] = sum
  }
  let drawn = 0
  return () => {
    drawn += 1
    const wanted = shuffled(drawn ^ (SEED << 24)) * sum
    let [low, high] = [0, TRACE_OBJECTS - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] as number) < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** An even number in [0, 1) that looks as if by chance, always the same for one input (Mulberry32). */
function shuffled(input: number): number {
  const state = Math.imul(input + 1, 0x6d2b79f5)
  let value = Math.imul(state ^ (state >>> 15), 1 | state)
  value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
  return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
}
