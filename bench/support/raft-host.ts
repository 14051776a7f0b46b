/** A libp2p host with the tracker's lines, as the program has one, that keeps its connections to the given peers. */
import { systemClock } from '../../node/src/clock.ts'
import { LineTransport } from '../../node/src/coordination/line-transport.ts'
import { loadIdentity } from '../../node/src/host/identity.ts'
import { Libp2pHost } from '../../node/src/host/libp2p-host.ts'
import { silentLogger } from '../../node/src/logger.ts'
import { createRegistry } from '../../node/src/metrics/registry.ts'

const REDIAL_MS = 200
const DIAL_MS = 5_000

/** Where a host is, and whom it connects to. */
export interface RaftHostInit {
  /** Folder of its key. */
  readonly home: string
  readonly listen: readonly string[]
  /** Addresses with peer ids. */
  readonly others: readonly string[]
}

/** A running one. */
export interface RaftHost {
  readonly lines: LineTransport
  /** Of the others, those that it has a connection to. */
  connected(): readonly string[]
  stop(): Promise<void>
}

/** Starts it; the tracker starts the lines. */
export async function startRaftHost({ home, listen, others }: RaftHostInit): Promise<RaftHost> {
  const { privateKey } = await loadIdentity(home, silentLogger)
  const components = { clock: systemClock, registry: createRegistry(), logger: silentLogger }
  const host = new Libp2pHost(components, { privateKey, listen, mdns: false })
  await host.start()
  const lines = new LineTransport({ ...components, host, random: Math.random })
  await lines.listen()
  const dialling = new Set<string>()
  const connect = (): void => {
    const connected = host.peers()
    for (const address of others) {
      if (dialling.has(address) || connected.includes(peerIdOf(address))) continue
      dialling.add(address)
      host
        .dial([address], { signal: AbortSignal.timeout(DIAL_MS) })
        // It is not there yet, or gone for now: the next round tries again.
        .catch(() => {})
        .finally(() => dialling.delete(address))
    }
  }
  const timer = setInterval(connect, REDIAL_MS)
  connect()
  return {
    lines,
    connected: () => host.peers().filter((peer) => others.some((each) => peerIdOf(each) === peer)),
    stop: async () => {
      clearInterval(timer)
      lines.close()
      await host.stop()
    },
  }
}

/** The peer id at the end of an address. */
export function peerIdOf(address: string): string {
  return address.slice(address.lastIndexOf('/') + 1)
}
