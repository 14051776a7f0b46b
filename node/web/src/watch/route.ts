/** Which view the address asks for. The part after `#` is used because the peer serves a fixed set of paths. */

/** The wall, or the player of one stream. */
export type Route = { readonly view: 'wall' } | { readonly view: 'player'; readonly name: string }

/** Reads `#/watch/<name>`, and `?stream=<name>` for links written by hand. */
export function readRoute(location: { readonly hash: string; readonly search: string }): Route {
  const match = /^#\/watch\/([^/?]+)/.exec(location.hash)
  const name = match?.[1] === undefined ? undefined : decode(match[1])
  if (name !== undefined) return { view: 'player', name }
  const asked = location.hash === '' ? new URLSearchParams(location.search).get('stream') : null
  return asked === null || asked === '' ? { view: 'wall' } : { view: 'player', name: asked }
}

/** The address of a stream's player on this page. */
export function watchHref(name: string): string {
  return `#/watch/${encodeURIComponent(name)}`
}

/** A name out of an address; an address with broken escapes asks for nothing. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
