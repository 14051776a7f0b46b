/** Which view the address asks for. The part after `#` is used because the peer serves a fixed set of paths. */

/** The wall, the player of one stream, or that of one video. */
export type Route =
  | { readonly view: 'wall' }
  | { readonly view: 'player'; readonly name: string }
  | { readonly view: 'video'; readonly id: string }

/** Reads `#/watch/<name>` and `#/video/<id>`, and `?stream=<name>` for links written by hand. */
export function readRoute(location: { readonly hash: string; readonly search: string }): Route {
  const [, kind, given] = /^#\/(watch|video)\/([^/?]+)/.exec(location.hash) ?? []
  const name = given === undefined ? undefined : decode(given)
  if (name !== undefined) {
    return kind === 'video' ? { view: 'video', id: name } : { view: 'player', name }
  }
  const asked = location.hash === '' ? new URLSearchParams(location.search).get('stream') : null
  return asked === null || asked === '' ? { view: 'wall' } : { view: 'player', name: asked }
}

/** The address of a stream's player on this page. */
export function watchHref(name: string): string {
  return `#/watch/${encodeURIComponent(name)}`
}

/** The address of a video's player on this page. */
export function videoHref(id: string): string {
  return `#/video/${encodeURIComponent(id)}`
}

/** A name out of an address; an address with broken escapes asks for nothing. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
