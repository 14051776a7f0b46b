/**
 * An origin whose answers tell by every byte which version they are of, so that one mixed of two, cut short or come too late is seen. The
 * version of a path is one byte; each path has a length of its own, and a tag beside the one that all share.
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sendVersion } from './cdn-stage.ts'

/** The tag of every path. */
export const SHARED_TAG = 'site'

/** The host that clients ask for. */
export const SITE_HOST = 'site.example'

/** A running origin. */
export interface VersionedOrigin {
  readonly url: string
  /** Requests that came, by path. */
  requests(path: string): number
  /** From now on the path has a new version, which is returned. */
  bump(path: string): number
  /** Requests are answered once this has resolved; undefined answers at once. */
  gate: Promise<void> | undefined
  stop(): Promise<void>
}

/** What of an answer is looked at. */
export interface VersionedAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** Bytes of a path: `/<name>/<bytes>`. */
export function sizeOf(path: string): number {
  return Number(path.slice(path.lastIndexOf('/') + 1))
}

/** The tag of one path, as its answers name it. */
export function tagOf(path: string): string {
  return path.replaceAll('/', '-').slice(1)
}

/** Starts an origin on a free port of 127.0.0.1. Each path begins with version 1 and may be kept for an hour. */
export async function startVersionedOrigin(): Promise<VersionedOrigin> {
  const versions = new Map<string, number>()
  const counts = new Map<string, number>()
  const versionOf = (path: string): number => versions.get(path) ?? 1
  const server = createServer(async (message, reply) => {
    const path = message.url ?? ''
    counts.set(path, (counts.get(path) ?? 0) + 1)
    await origin.gate
    const version = versionOf(path)
    sendVersion(message, reply, {
      etag: `"${path} ${version}"`,
      body: Buffer.alloc(sizeOf(path), version),
      headers: {
        'cache-control': 'max-age=3600',
        'surrogate-key': `${SHARED_TAG} ${tagOf(path)}`,
      },
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin: VersionedOrigin = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: (path) => counts.get(path) ?? 0,
    bump: (path) => {
      const version = versionOf(path) + 1
      // One byte has to tell it.
      if (version > 255) throw new Error(`${path} has had too many versions`)
      versions.set(path, version)
      return version
    },
    gate: undefined,
    stop: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  return origin
}

/**
 * The version of a whole answer, or of a part of it.
 * @throws Error when it is not what the origin has sent for this path, byte by byte.
 */
export function versionIn(path: string, { status, headers, body }: VersionedAnswer): number {
  const match = /^"(\S+) (\d+)"$/.exec(headers.etag ?? '')
  if (match?.[1] !== path) {
    throw new Error(
      `${path}: ${status} with the tag ${headers.etag}: ${body.subarray(0, 200).toString()}`,
    )
  }
  const version = Number(match[2])
  const length = status === 206 ? partLength(headers['content-range'], path) : sizeOf(path)
  if (body.byteLength !== length) {
    throw new Error(`${path}: ${body.byteLength} bytes in place of ${length}, and no error`)
  }
  if (body.equals(Buffer.alloc(length, version))) return version
  const odd = body.findIndex((byte) => byte !== version)
  throw new Error(`${path}: version ${version} has a byte of ${body[odd]} at ${odd}`)
}

function partLength(contentRange: string | undefined, path: string): number {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? '')
  if (match === null || Number(match[3]) !== sizeOf(path)) {
    throw new Error(`${path}: a part with the range ${contentRange}`)
  }
  return Number(match[2]) - Number(match[1]) + 1
}
