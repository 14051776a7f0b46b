/** The operator of a peer that runs as a process of its own: calls its API with the token of the admin page's address. */
import type { ReadyLine } from './peer-process.ts'

/** Calls of the API; each rejects with the peer's own words unless it is answered with success. */
export interface OperatorClient {
  /** `Authorization` with the token, for clients that call by themselves. */
  readonly headers: { readonly authorization: string }
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: unknown): Promise<T>
  patch<T>(path: string, body: unknown): Promise<T>
}

/** The operator of a peer. */
export function operatorOf({ ready }: { readonly ready: ReadyLine }): OperatorClient {
  const { origin, searchParams } = new URL(ready.admin)
  const headers = { authorization: `Bearer ${searchParams.get('token') ?? ''}` }
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(origin + path, {
      method,
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    if (answer.ok) return (await answer.json()) as never
    throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  }
  return {
    headers,
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    patch: (path, body) => call('PATCH', path, body),
  }
}
