/**
 * A libp2p host as a process of its own: prints its id and addresses, joins what it is told, answers a test protocol, and
 * stops when its standard input ends. Arguments: home folder, then join targets.
 */
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { systemClock } from '../../src/clock.ts'
import { loadIdentity } from '../../src/host/identity.ts'
import { Join } from '../../src/host/join.ts'
import { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { silentLogger } from '../../src/logger.ts'

const [home = '', ...targets] = process.argv.slice(2)
const components = { clock: systemClock, logger: silentLogger, registry: new Registry() }
const { privateKey } = await loadIdentity(home, silentLogger)
const host = new Libp2pHost(components, {
  privateKey,
  listen: ['/ip4/127.0.0.1/tcp/0'],
  mdns: false,
  datastorePath: join(home, 'peers'),
})
await host.start()
await host.handle('/kairo-test/hold/1.0.0', async (stream) => {
  await stream.write(Buffer.from('held'))
  for await (const _ of stream.incoming);
})
const joining = new Join({ ...components, host, random: Math.random }, { targets })
joining.start()
process.stdout.write(`${JSON.stringify({ peerId: host.peerId, multiaddrs: host.multiaddrs() })}\n`)
process.stdin.resume().once('end', async () => {
  await joining.stop()
  await host.stop()
})
