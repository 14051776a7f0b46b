/**
 * The host as a process: it leaves nothing behind when it stops, and survives being killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Test, test } from 'tap'
import { startHost, until } from '../support/hosts.ts'

const program = fileURLToPath(new URL('../support/host-process.ts', import.meta.url))

interface HostProcess {
  readonly child: ChildProcess
  readonly peerId: string
  readonly multiaddrs: string[]
}

async function startProcess(t: Test, args: string[]): Promise<HostProcess> {
  // Without tap's loaders: the process is to end by itself, and tap's would be in the way.
  const env = { ...process.env, NODE_OPTIONS: '' }
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env,
  })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return { child, ...JSON.parse(line) }
}

test('a host that stopped leaves nothing that keeps the process alive', async (t) => {
  const host = await startHost(t)
  const { child, peerId } = await startProcess(t, [t.testdir(), 'mdns', ...host.multiaddrs()])
  await until(() => host.peers().includes(peerId), 'the connection')
  child.stdin?.end()
  const [code, signal] = await once(child, 'exit')
  t.same([code, signal], [0, null])
})

test('a host that is killed breaks its streams, and starts again on the same data', async (t) => {
  const home = t.testdir()
  const host = await startHost(t)
  const first = await startProcess(t, [home, 'quiet', ...host.multiaddrs()])
  await until(() => host.peers().includes(first.peerId), 'the connection')
  const stream = await host.open(first.peerId, '/kairo-test/hold/1.0.0', {
    signal: AbortSignal.timeout(10_000),
  })
  const reader = stream.incoming[Symbol.asyncIterator]()
  t.equal(Buffer.from((await reader.next()).value).toString(), 'held')
  first.child.kill('SIGKILL')
  await t.rejects(reader.next(), { code: 'ERR_NO_PROVIDER' })
  const second = await startProcess(t, [home, 'quiet'])
  t.equal(second.peerId, first.peerId, 'the same identity')
  await until(() => host.peers().includes(second.peerId), 'the redial of a remembered peer')
  second.child.stdin?.end()
  t.same(await once(second.child, 'exit'), [0, null])
})

/** True when a datagram to the mDNS group comes back: machines without a network have no multicast. */
async function hasMulticast(): Promise<boolean> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  try {
    socket.bind(5353)
    await once(socket, 'listening')
    socket.addMembership('224.0.0.251')
    const heard = once(socket, 'message', { signal: AbortSignal.timeout(1_000) })
    socket.send('probe', 5353, '224.0.0.251', () => {})
    await heard
    return true
  } catch {
    // Whatever the reason, mDNS cannot work here either.
    return false
  } finally {
    socket.close()
  }
}

test('two hosts find each other on the local network', async (t) => {
  if (!(await hasMulticast())) return t.pass('no multicast on this machine', { skip: true })
  const [a, b] = [t.testdir({ a: {}, b: {} }), 'mdns']
  const first = await startProcess(t, [`${a}/a`, b])
  const second = await startProcess(t, [`${a}/b`, b, '--say-peers'])
  const [line] = await once(
    createInterface({ input: second.child.stdout ?? process.stdin }),
    'line',
  )
  t.same(JSON.parse(line), [first.peerId])
})
