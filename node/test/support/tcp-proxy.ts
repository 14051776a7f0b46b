/** A TCP relay in front of one port of this machine that can be cut, so that two programs lose each other, and mended. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A running relay. */
export interface TcpProxy {
  readonly port: number
  /** Breaks every connection and takes no new ones. */
  cut(): void
  /** Ends {@link TcpProxy.cut}. */
  mend(): void
}

/** Begins to relay to `targetPort` on this machine; ends with the test. */
export async function tcpProxy(t: Test, targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  let isCut = false
  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // The other half is closed with it; what went wrong is for the programs to find out.
    socket.on('error', () => {})
    return socket
  }
  const server = createServer((near) => {
    keep(near)
    if (isCut) {
      near.destroy()
      return
    }
    const far = keep(connect(targetPort, '127.0.0.1'))
    near.pipe(far).pipe(near)
    near.once('close', () => far.destroy())
    far.once('close', () => near.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(() => {
    breakAll()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      isCut = true
      breakAll()
    },
    mend: () => {
      isCut = false
    },
  }
}
