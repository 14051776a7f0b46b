/** AutoNAT behind its guard: how often an address may have this peer dial for it. */
import type { AutoNATComponents } from '@libp2p/autonat'
import type { Connection, Startable, Stream, StreamHandler } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { Counter, Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { isKairoError } from '../../../src/errors.ts'
import { guardedAutoNat } from '../../../src/host/reach/autonat.ts'
import { autonatLimits } from '../../../src/limits/reach.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const { requestBurstMax, requestIntervalMs, addressesMax } = autonatLimits

/** A node that keeps what the service asks of it; `ask` is a request from an address and says whether it was passed on. */
async function setUp(t: Test) {
  const clock = new ManualClock()
  const refused = new Counter({ name: 'refused', help: 'refused', registers: [new Registry()] })
  let handler: StreamHandler | undefined
  const log = Object.assign(() => {}, { error: () => {}, trace: () => {}, enabled: false })
  const node = {
    registrar: {
      handle: async (_: string, handle: StreamHandler) => {
        handler = handle
      },
      register: async () => 'topology',
      unhandle: async () => {},
    },
    connectionManager: {},
    addressManager: {},
    transportManager: {},
    logger: { forComponent: () => log },
  } as unknown as AutoNATComponents
  const service = guardedAutoNat({ clock, refused })(node) as unknown as Startable
  await service.start()
  t.teardown(() => service.stop?.())
  const ask = (address: string): boolean => {
    let passedOn = true
    const stream = {
      // The service itself breaks this stream too, which is none.
      abort: (error: Error) => {
        if (isKairoError(error, 'ERR_LIMIT')) passedOn = false
      },
    }
    const connection = { remoteAddr: multiaddr(address) }
    handler?.(stream as unknown as Stream, connection as unknown as Connection)
    return passedOn
  }
  return { clock, refused, ask }
}

test('an address has a burst of dials, then one each interval', async (t) => {
  const { clock, refused, ask } = await setUp(t)
  for (let count = 0; count < requestBurstMax; count++) t.ok(ask('/ip4/192.0.2.1/tcp/1'))
  t.notOk(ask('/ip4/192.0.2.1/tcp/2'))
  t.equal((await refused.get()).values[0]?.value, 1)
  t.ok(ask('/ip4/192.0.2.2/tcp/1'), 'others are not to blame')
  clock.advance(requestIntervalMs)
  t.ok(ask('/ip4/192.0.2.1/tcp/1'))
  t.notOk(ask('/ip4/192.0.2.1/tcp/1'))
})

test('all addresses together are bounded', async (t) => {
  const { clock, ask } = await setUp(t)
  for (let index = 0; index < addressesMax; index++) {
    if (!ask(`/ip4/10.0.${index >> 8}.${index & 255}/tcp/1`)) t.fail(`${index} is refused`)
  }
  t.notOk(ask('/ip4/192.0.2.1/tcp/1'), 'as many as are counted')
  clock.advance(requestIntervalMs * requestBurstMax)
  t.ok(ask('/ip4/192.0.2.1/tcp/1'), 'until others are forgotten')
})
