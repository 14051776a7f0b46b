/** A network of peers in front of one origin, for tests and benches alike: how they are started, asked, and given purges. */
import { randomInt } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { z } from 'zod'
import type { knownPeersSchema } from '../../src/api/schemas-nearest.ts'
import type { purgeReportSchema, purgesSchema } from '../../src/api/schemas-purge.ts'
import type { PurgeSelector } from '../../src/cdn/purge-selector.ts'
import { type Answer, httpRequest } from './http-get.ts'
import { until } from './until.ts'
import { SITE_HOST } from './versioned-origin.ts'

/** A purge and what has become of it. */
export type PurgeView = z.output<typeof purgeReportSchema>

/** Where a peer is reached. */
export interface CdnPeer {
  readonly peerId: string
  /** What clients ask. */
  readonly http: string
  /** The operator's page, with the token. */
  readonly admin: string
}

/** Arguments of a peer that believes its network and is a cache in front of `origin`. */
export function cdnArguments(origin: string): string[] {
  return [
    ...['--origin', origin, '--cdn-peers', 'network', '--admin-http', '127.0.0.1:0'],
    // All clients of a test come from one address.
    ...['--requests-per-second-max', '0', '--connections-per-address-max', '0'],
  ]
}

/** Asks a peer for a path of the site. One that shelters itself on a busy machine says when to come back, and whoever asks does. */
export async function askSite(
  http: string,
  path: string,
  headers: Record<string, string> = {},
  timeoutMs = 60_000,
): Promise<Answer> {
  const ask = () =>
    httpRequest(http + path, { headers: { ...headers, host: SITE_HOST }, timeoutMs })
  let answer = await ask()
  while (answer.status === 503 && answer.headers['retry-after'] !== undefined) {
    await pause(Number(answer.headers['retry-after']) * 1_000)
    answer = await ask()
  }
  return answer
}

/** True for an answer that was not fetched from anywhere first. */
export function isHit({ headers }: Answer): boolean {
  return String(headers['cache-status']).includes('; hit')
}

/** Waits until each peer knows that all the others can be asked, and that no purge was missed; for each of them a minute, or what is said. */
export async function untilAcquainted(
  peers: readonly CdnPeer[],
  timeoutMs?: number,
): Promise<void> {
  for (const peer of peers) {
    await until(
      async () => {
        const known = await operate<z.output<typeof knownPeersSchema>>(peer, '/api/nearest/peers')
        const reachable = known.peers.filter((one) => one.reachable && one.state === 'serving')
        return reachable.length >= peers.length - 1 && (await purgesOf(peer)).caughtUp
      },
      `${peer.peerId} knows all others`,
      timeoutMs,
    )
  }
}

/** Asks for one path so many times at once, in turns at all peers. The answers. */
export async function askAtOnce(
  peers: readonly CdnPeer[],
  path: string,
  count: number,
): Promise<Answer[]> {
  const asked = Array.from({ length: count }, (_, index) => peers[index % peers.length] as CdnPeer)
  return await Promise.all(asked.map(({ http }) => askSite(http, path)))
}

/** Gives a hard purge to a peer; what had become of it when the peer answered. */
export async function purgeAt(peer: CdnPeer, selector: PurgeSelector): Promise<PurgeView> {
  return await operate<PurgeView>(peer, '/api/cdn/purge', { selector, mode: 'hard' })
}

/** The purges given to a peer. */
export async function purgesOf(peer: CdnPeer): Promise<z.output<typeof purgesSchema>> {
  return await operate(peer, '/api/cdn/purges')
}

/** One of several, by chance. */
export function oneOf<Value>(values: readonly Value[]): Value {
  return values[randomInt(values.length)] as Value
}

/** Calls the operator's API; a peer that shelters itself on a busy machine has done nothing, and is asked again. */
async function operate<Value>(peer: CdnPeer, path: string, body?: unknown): Promise<Value> {
  let answer = await call(peer, path, body)
  while (answer.status === 503) {
    await pause(Number(answer.headers.get('retry-after') ?? 1) * 1_000)
    answer = await call(peer, path, body)
  }
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return (await answer.json()) as Value
}

async function call({ admin }: CdnPeer, path: string, body: unknown): Promise<Response> {
  const { origin, searchParams } = new URL(admin)
  return await fetch(origin + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${searchParams.get('token') ?? ''}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}
