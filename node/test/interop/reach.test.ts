/**
 * A real NAT between real hosts, in network namespaces: who is public is told so by others (AutoNAT), who is behind the
 * NAT is found through a relay, and media flow over the connection that it makes itself. Between two NATs control traffic
 * flows through the relay, and media do not.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Test, t, test } from 'tap'
import { FEED_PROTOCOL, RECORDS_PROTOCOL } from '../../src/host/protocols.ts'
import type { ReachStatus } from '../../src/host/reach/reach-status.ts'
import { needsNamespaces, runIn, Wire } from '../support/network-namespaces.ts'
import type { ReachProcessInit } from '../support/reach-process.ts'
import { until } from '../support/until.ts'

// A dozen processes on a machine that may have two cores.
t.setTimeout(240_000)

const natProgram = fileURLToPath(new URL('../support/nat-process.ts', import.meta.url))
const hostProgram = fileURLToPath(new URL('../support/reach-process.ts', import.meta.url))

type Status = ReachStatus & { readonly multiaddrs: string[]; readonly peers: string[] }

/** A host in a namespace. */
class RemoteHost {
  readonly peerId: string
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string, undefined>

  static async start(t: Test, namespace: string, init: ReachProcessInit): Promise<RemoteHost> {
    const child = runIn(t, namespace, hostProgram, [JSON.stringify(init)])
    const lines = linesOf(child)
    const { peerId } = JSON.parse(await nextLine(lines))
    return new RemoteHost(child, lines, peerId)
  }

  private constructor(
    child: ChildProcess,
    lines: AsyncIterator<string, undefined>,
    peerId: string,
  ) {
    this.#child = child
    this.#lines = lines
    this.peerId = peerId
  }

  async tell(command: string): Promise<Record<string, unknown>> {
    this.#child.stdin?.write(`${command}\n`)
    return JSON.parse(await nextLine(this.#lines))
  }

  async status(): Promise<Status> {
    return (await this.tell('status')) as unknown as Status
  }
}

function linesOf(child: ChildProcess): AsyncIterator<string, undefined> {
  if (child.stdout === null) throw new Error('the output is not read')
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]()
}

async function nextLine(lines: AsyncIterator<string, undefined>): Promise<string> {
  const { value } = await lines.next()
  if (value === undefined) throw new Error('the process has ended')
  return value
}

/** A machine at home behind the public address. */
async function startHome(t: Test, wire: Wire, name: string, address: string): Promise<string> {
  const outer = wire.machine(`${name}-outer`, address)
  const { home, inner } = wire.home(name, ['5.0.0.0/8', '6.0.0.0/8', '7.0.0.0/8'])
  // A socket's path may have no more than a hundred characters, so it lies in no folder of this test.
  const folder = await mkdtemp(join(tmpdir(), 'kairo-nat-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const path = join(folder, 'nat')
  const halves = [
    runIn(t, outer, natProgram, ['outer', path]),
    runIn(t, inner, natProgram, ['inner', path, '4001']),
  ]
  for (const half of halves) await nextLine(linesOf(half))
  return home
}

const skip = needsNamespaces()

test('a peer behind a NAT is found through a relay and used directly', { skip }, async (t) => {
  const wire = new Wire(t)
  const listenAt = (address: string) => [`/ip4/${address}/tcp/4001`]
  const first = await RemoteHost.start(t, wire.machine('first', '5.5.5.5'), {
    ...{ listen: listenAt('5.5.5.5'), relay: true, join: [] },
  })
  const targets = listenAt('5.5.5.5')
  const second = await RemoteHost.start(t, wire.machine('second', '6.6.6.6'), {
    ...{ listen: listenAt('6.6.6.6'), relay: false, join: targets },
  })
  for (const host of [first, second]) {
    await until(async () => (await host.status()).nat === 'public', 'the word of the other')
    const { publicAddresses } = await host.status()
    t.match(publicAddresses, [{ verified: true }], 'AutoNAT confirmed the address')
  }

  const namespace = await startHome(t, wire, 'home', '7.7.7.7')
  const home = await RemoteHost.start(t, namespace, {
    ...{ listen: listenAt('192.168.1.2'), relay: true, join: targets },
  })
  await until(async () => (await home.status()).relays.length > 0, 'a place at the relay')
  const hidden = await home.status()
  t.equal(hidden.nat, 'private')
  t.equal(hidden.relaying, undefined, 'who cannot be dialled does not relay')
  t.same(hidden.relays, [first.peerId])
  const circuit = hidden.multiaddrs.filter((address) => address.includes('/p2p-circuit'))
  t.ok(circuit.length > 0, 'it tells others of the relay')

  t.same(await second.tell(`dial ${circuit[0]}`), { peerId: home.peerId })
  t.same(await second.tell(`ask ${home.peerId} ${RECORDS_PROTOCOL}`), { answer: 'hello' })
  t.same(await second.tell(`ask ${home.peerId} ${FEED_PROTOCOL}`), { answer: 'hello' })
  for (const address of ['/ip4/7.7.7.7/tcp/4001', '/ip4/192.168.1.2/tcp/4001']) {
    t.same(await second.tell(`dial ${address}`), { error: 'ERR_NO_PROVIDER' }, 'the NAT is one')
  }

  const otherNamespace = await startHome(t, wire, 'other', '7.8.8.8')
  const other = await RemoteHost.start(t, otherNamespace, {
    ...{ listen: listenAt('192.168.1.2'), relay: false, join: targets },
  })
  t.same(await other.tell(`dial ${circuit[0]}`), { peerId: home.peerId })
  t.same(await other.tell(`ask ${home.peerId} ${RECORDS_PROTOCOL}`), { answer: 'hello' })
  // TCP makes no hole in two NATs at once, and both homes have the same private address.
  t.same(await other.tell(`ask ${home.peerId} ${FEED_PROTOCOL}`), { error: 'ERR_NO_PROVIDER' })
})
