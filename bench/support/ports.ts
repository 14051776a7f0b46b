/** Free ports for rivals that cannot be told to find one themselves. */
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below what systems give out by themselves (Linux: from 32,768 on), or somebody else's socket has it before it is used. */
const FIRST_PORT = 16_000
const PORTS = 16_000
const TRIES_MAX = 100

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error(`${TRIES_MAX} ports are taken`)
}

/** Waits until something accepts connections on a port of 127.0.0.1. */
export async function portOpens(port: number, timeoutMs: number): Promise<void> {
  const { connect } = await import('node:net')
  const endMs = performance.now() + timeoutMs
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (open) return
    if (performance.now() > endMs) throw new Error(`nothing answers on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
