/**
 * The operator token: taken from the address once, kept for this tab only, and removed from the address bar so that it
 * does not end up in the history, a bookmark or a screenshot.
 */

import { readStored, writeStored } from './stored.ts'

const key = 'kairo.token'
const session = () => sessionStorage

/** The token of this tab, if there is one. */
export function takeToken(): string | undefined {
  const url = new URL(location.href)
  const given = url.searchParams.get('token')
  if (given === null) return readStored(session, key)
  url.searchParams.delete('token')
  history.replaceState(null, '', url)
  if (given === '') return readStored(session, key)
  keepToken(given)
  return given
}

/** Keeps a token for this tab; `undefined` forgets it. */
export function keepToken(token: string | undefined): void {
  writeStored(session, key, token)
}

/** The token of this tab, if the operator has signed in on it; the watch page may change the library with it. */
export function storedToken(): string | undefined {
  return readStored(session, key)
}
