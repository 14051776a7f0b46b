/** Requests that are answered on Node's own objects: any method, any target, bodies, upgrades that are refused. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Takes a request or leaves it to the plain handlers and the declared routes. Asked about whatever left the fast lane; true means
 * that the answer is the handler's, now or later. It must not throw.
 */
export type RawHandler = (message: IncomingMessage, reply: ServerResponse) => boolean
