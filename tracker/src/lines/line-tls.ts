/**
 * TLS 1.3 by a secret that both sides have, with a fresh exchange of keys: no certificates, and what is recorded cannot be read when the
 * secret leaks later (RFC 8446, section 4.2.9, psk_dhe_ke). Both sides are authenticated by having it.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type TLSSocket } from 'node:tls'
import type { Lane, ListenAddress } from '../transport.ts'
import { identityOf, lanes, readIdentity } from './invitation.ts'
import { directLimits } from './line-limits.ts'

/** A secret that is not a certificate goes with suites of its own hash; AES is in hardware nearly everywhere. */
const suite = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
  ecdhCurve: 'X25519',
} as const

/** Whom and where to call. */
export interface CallInit {
  readonly host: string
  readonly port: number
  readonly name: string
  readonly secret: Uint8Array
  readonly lane: Lane
}

/** Calls a peer; the socket emits `secureConnect` when it has proved to have the secret, else `error` and `close`. */
export function callLane({ host, port, name, secret, lane }: CallInit): TLSSocket {
  const identity = identityOf(name, lane)
  return connect({
    ...{ host, port, ...suite },
    // Asked only of whoever does not have the secret and shows a certificate instead, which any stranger has.
    checkServerIdentity: () => new Error('the peer does not have the secret'),
    pskCallback: () => ({ psk: secret, identity }),
  })
}

/** What a server asks and tells. */
export interface LineServerComponents {
  /** The secret of a lane that is invited and has not come yet. */
  readonly secretOf: (name: string, lane: Lane) => Uint8Array | undefined
  /** A socket has proved to be that lane. */
  readonly onLane: (name: string, lane: Lane, socket: TLSSocket) => void
  /** One has not. */
  readonly onRefused: () => void
}

/** Takes the calls of peers that were invited. */
export class LineServer {
  readonly #server: Server
  readonly #callers = new WeakMap<TLSSocket, { readonly name: string; readonly lane: Lane }>()

  constructor({ secretOf, onLane, onRefused }: LineServerComponents) {
    this.#server = createServer({
      ...suite,
      handshakeTimeout: directLimits.openMsMax,
      pskCallback: (socket, identity) => {
        const caller = readIdentity(identity)
        const secret = caller && secretOf(caller.name, caller.lane)
        if (caller === undefined || secret === undefined) return null
        this.#callers.set(socket, caller)
        return secret
      },
    })
    // More are closed before anything of them is read.
    this.#server.maxConnections = directLimits.linesMax * lanes.length + directLimits.strangersMax
    this.#server.on('drop', onRefused)
    this.#server.on('tlsClientError', onRefused)
    this.#server.on('secureConnection', (socket) => {
      const caller = this.#callers.get(socket)
      // One that comes with a ticket of an older connection has no name, and was not invited to this one. A secret counts as a session.
      if (caller !== undefined && socket.isSessionReused()) {
        onLane(caller.name, caller.lane, socket)
        return
      }
      onRefused()
      socket.on('error', () => {})
      socket.destroy()
    })
  }

  /** Listens. Returns the port. @throws why it cannot */
  async listen({ host, port }: ListenAddress): Promise<number> {
    this.#server.listen({ host, port })
    await once(this.#server, 'listening')
    this.#server.unref()
    return (this.#server.address() as AddressInfo).port
  }

  /** Takes no more calls. */
  close(): void {
    this.#server.close()
  }
}
