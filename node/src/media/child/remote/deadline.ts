/** A bound on one call of FFmpeg that waits for the network. */
import { KairoError } from '../../../errors.ts'

/**
 * What `work` resolves to, unless it takes longer than `limitMs`. Then `onLate` may interrupt it; whether it ends or not, this
 * fails, and with it the child, whose end takes a call that hangs along.
 * @throws KairoError `ERR_TIMEOUT`, saying that `what` did not happen.
 */
export async function within<Value>(
  work: Promise<Value>,
  limitMs: number,
  what: string,
  onLate: () => void = () => {},
): Promise<Value> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    late.reject(new KairoError('ERR_TIMEOUT', `${what} within ${limitMs} ms`))
    onLate()
  }, limitMs)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
