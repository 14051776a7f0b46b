/** Requests of the ordinary server that know whose they are, where a proxy that the operator trusts has brought them. */
import { IncomingMessage } from 'node:http'

/** Node's message with the client's address. */
export class ClientMessage extends IncomingMessage {
  /** Set once the shelter has looked; undefined without one. */
  clientAddress: string | undefined
}

/** The address of whoever asks: the other end of the connection, or whom a trusted proxy there speaks for. */
export function clientAddressOf(message: IncomingMessage): string {
  const known = message instanceof ClientMessage ? message.clientAddress : undefined
  return known ?? message.socket.remoteAddress ?? ''
}
