/**
 * Looks a name up once for all who connect at the same time. The system's resolver works on the few threads that file access
 * has too, and cannot be called off: a burst of connections to a name that does not resolve would hold up every read of a file.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import type { Clock } from '../../clock.ts'
import { httpOriginLimits as limits } from '../../limits/cdn-origins.ts'

interface Lookup {
  readonly answer: Promise<LookupAddress[]>
  /** Monotonic time until which it is used; none while it is under way. */
  untilMs: number
}

/** A `lookup` for sockets of one origin, so it remembers a single name. */
export function sharedLookup(
  components: { readonly clock: Clock },
  resolve: typeof systemLookup = systemLookup,
): LookupFunction {
  const { clock } = components
  let known: { readonly name: string; readonly lookup: Lookup } | undefined
  const begin = (name: string): Lookup => {
    const { promise, resolve: succeed, reject } = Promise.withResolvers<LookupAddress[]>()
    const lookup: Lookup = { answer: promise, untilMs: Number.POSITIVE_INFINITY }
    resolve(name, { all: true }, (error, addresses) => {
      lookup.untilMs = error === null ? clock.monotonicMs() + limits.lookupMs : 0
      if (error === null) succeed(addresses)
      else reject(error)
    })
    return lookup
  }
  return (name, options, callback) => {
    if (known === undefined || known.name !== name || known.lookup.untilMs <= clock.monotonicMs()) {
      known = { name, lookup: begin(name) }
    }
    known.lookup.answer.then(
      (addresses) => answer(addresses, options, callback),
      (error: NodeJS.ErrnoException) => callback(error, []),
    )
  }
}

function answer(
  addresses: LookupAddress[],
  options: Parameters<LookupFunction>[1],
  callback: Parameters<LookupFunction>[2],
): void {
  const family = Number(String(options.family ?? 0).replace('IPv', ''))
  const fitting = addresses.filter((address) => family === 0 || address.family === family)
  const [first] = fitting
  if (first === undefined) {
    callback(Object.assign(new Error('no address of that kind'), { code: 'ENOTFOUND' }), [])
  } else if (options.all === true) {
    callback(null, fitting)
  } else {
    callback(null, first.address, first.family)
  }
}
