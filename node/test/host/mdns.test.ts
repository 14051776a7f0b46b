/**
 * Discovery on the local network by multicast DNS, between two real hosts.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { t, test } from 'tap'
import { startHost } from '../support/hosts.ts'
import { until } from '../support/until.ts'

// Real hosts share the machine with whatever else runs there.
t.setTimeout(180_000)

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
  if (!(await hasMulticast())) {
    t.pass('no multicast on this machine', { skip: true })
    return
  }
  const first = await startHost(t, { mdns: true })
  const second = await startHost(t, { mdns: true })
  await until(() => second.peers().includes(first.peerId), 'the discovery')
})
