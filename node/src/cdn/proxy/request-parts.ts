/** Parts of requests in the form in which the cache compares them. */

/** A `Host` in lower case without the port that its scheme implies. */
export function bareHost(host: string): string {
  return host.endsWith(':80') ? host.slice(0, -3) : host
}
