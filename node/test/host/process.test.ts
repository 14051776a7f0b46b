/**
 * The host as a process: it leaves nothing behind when it stops, and survives being killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Test, t, test } from 'tap'
import { startHost } from '../support/hosts.ts'
import { until } from '../support/until.ts'

// Real hosts share the machine with whatever else runs there.
t.setTimeout(180_000)

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

test('a host that is killed breaks its streams, starts again on the same data, and stops without a trace', async (t) => {
  const home = t.testdir()
  const host = await startHost(t)
  const first = await startProcess(t, [home, ...host.multiaddrs()])
  await until(() => host.peers().includes(first.peerId), 'the connection')
  const stream = await host.open(first.peerId, '/kairo-test/hold/1.0.0', {
    signal: AbortSignal.timeout(60_000),
  })
  const reader = stream.incoming[Symbol.asyncIterator]()
  t.equal(Buffer.from((await reader.next()).value).toString(), 'held')
  first.child.kill('SIGKILL')
  await t.rejects(reader.next(), { code: 'ERR_NO_PROVIDER' })
  const second = await startProcess(t, [home])
  t.equal(second.peerId, first.peerId, 'the same identity')
  await until(() => host.peers().includes(second.peerId), 'the redial of a remembered peer')
  second.child.stdin?.end()
  t.same(await once(second.child, 'exit'), [0, null], 'nothing keeps the process alive')
})
