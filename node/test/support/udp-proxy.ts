/**
 * A UDP relay between one server and its clients that loses, repeats and swaps datagrams by a seed, the same for every run: the
 * bad network that SRT is made for.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Test } from 'tap'
import { seededRandom } from './content-peer.ts'

/** What the network does to datagrams, each a share from 0 to 1. */
export interface UdpTrouble {
  readonly seed: number
  readonly loss?: number
  readonly duplication?: number
  /** Datagrams that are passed on behind the next one. */
  readonly reordering?: number
  /** Datagrams of each direction that pass untouched first, so that a handshake is not what is tested. */
  readonly sparedFirst?: number
}

/** A running relay. */
export interface UdpProxy {
  readonly port: number
  /** Datagrams that were lost so far. */
  lost(): number
}

/** Begins to relay to `targetPort` on this machine; ends with the test. */
export async function udpProxy(
  t: Test,
  targetPort: number,
  trouble: UdpTrouble,
): Promise<UdpProxy> {
  const front = createSocket('udp4')
  front.bind(0, '127.0.0.1')
  await once(front, 'listening')
  const backs = new Map<number, Socket>()
  const random = seededRandom(trouble.seed)
  let lost = 0
  const pass = (send: (datagram: Buffer) => void): ((datagram: Buffer) => void) => {
    let spared = trouble.sparedFirst ?? 0
    let late: Buffer | undefined
    return (datagram) => {
      spared -= 1
      if (spared >= 0) {
        send(datagram)
        return
      }
      if (random() < (trouble.loss ?? 0)) {
        lost += 1
        return
      }
      if (late === undefined && random() < (trouble.reordering ?? 0)) {
        late = datagram
        return
      }
      send(datagram)
      if (random() < (trouble.duplication ?? 0)) send(datagram)
      if (late !== undefined) send(late)
      late = undefined
    }
  }
  const connect = (clientPort: number): ((datagram: Buffer) => void) => {
    const back = createSocket('udp4')
    backs.set(clientPort, back)
    back.on(
      'message',
      pass((datagram) => front.send(datagram, clientPort, '127.0.0.1')),
    )
    return pass((datagram) => back.send(datagram, targetPort, '127.0.0.1'))
  }
  const forwards = new Map<number, (datagram: Buffer) => void>()
  front.on('message', (datagram, { port }) => {
    const forward = forwards.get(port) ?? connect(port)
    forwards.set(port, forward)
    forward(datagram)
  })
  t.teardown(() => {
    front.close()
    for (const back of backs.values()) back.close()
  })
  return { port: front.address().port, lost: () => lost }
}
