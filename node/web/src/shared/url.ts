/** Addresses that the peer tells as seen from its own machine, as seen from the machine of the page. */

const loopbackHost = /^([a-z]+:\/\/)(127\.\d+\.\d+\.\d+|localhost|\[::1\])(?=[:/]|$)/

/** True for a URL that only the peer's own machine reaches. */
export function isLoopback(url: string): boolean {
  return loopbackHost.test(url)
}

/** `url` with the host by which this page was reached in place of the loopback address. */
export function reachableFrom(url: string, hostname: string): string {
  return url.replace(loopbackHost, (_, scheme: string) => scheme + hostname)
}
