/**
 * The DHT and gossip among real hosts.
 */
import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { t, test } from 'tap'
import { RECORDS_TOPIC } from '../../src/host/protocols.ts'
import type { PeerStream } from '../../src/host/transport.ts'
import { startHost } from '../support/hosts.ts'
import { until } from '../support/until.ts'

// Real hosts share the machine with whatever else runs there.
t.setTimeout(180_000)

const ECHO = '/kairo-test/echo/1.0.0'

function signal(): AbortSignal {
  return AbortSignal.timeout(60_000)
}

async function collect(stream: PeerStream): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream.incoming) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('peers that know only one address find each other and what they provide', async (t) => {
  const bootstrap = await startHost(t)
  const hosts = [bootstrap]
  for (let index = 0; index < 5; index++) hosts.push(await startHost(t, { join: [bootstrap] }))
  const [provider, seeker] = [hosts[1], hosts[5]]
  if (provider === undefined || seeker === undefined) throw new Error('not reached')
  const cid = CID.createV1(raw.code, await sha256.digest(randomBytes(32)))
  await until(
    async () => (await provider.routing.provide(cid, { signal: signal() })) > 0,
    'a provide that reaches a peer',
  )
  const found: string[] = []
  for await (const id of seeker.routing.findProviders(cid, { signal: signal() })) found.push(id)
  t.same(found, [provider.peerId])
  await provider.handle(ECHO, async (stream) => stream.write(await collect(stream)))
  const stream = await seeker.open(provider.peerId, ECHO, { signal: signal() })
  await stream.write(Buffer.from('found'))
  await stream.close()
  t.equal((await collect(stream)).toString(), 'found')
  await provider.routing.cancel(cid)
})

test('gossip reaches a dozen peers behind one address', async (t) => {
  const bootstrap = await startHost(t)
  const others = await Promise.all(
    Array.from({ length: 11 }, () => startHost(t, { join: [bootstrap] })),
  )
  const heard = new Map<string, string[]>()
  for (const host of [bootstrap, ...others]) {
    const messages: string[] = []
    heard.set(host.peerId, messages)
    host.gossip.subscribe(RECORDS_TOPIC, (data) => {
      const text = Buffer.from(data).toString()
      messages.push(text)
      if (text === 'throw') throw new Error('a handler that fails')
      return text === 'bad' ? 'ignore' : 'accept'
    })
  }
  const [publisher] = others
  if (publisher === undefined) throw new Error('not reached')
  let round = 0
  await until(async () => {
    // The mesh forms with the heartbeat; until then a message may find nobody.
    await publisher.gossip.publish(RECORDS_TOPIC, Buffer.from(`hello ${round++}`))
    await new Promise((resolve) => setTimeout(resolve, 100))
    return [...heard].filter(([id]) => id !== publisher.peerId).every(([, m]) => m.length > 0)
  }, 'a message at every peer')
  t.same(heard.get(publisher.peerId), [], 'own messages are not heard')
  await publisher.gossip.publish(RECORDS_TOPIC, Buffer.from('throw'))
  await t.rejects(publisher.gossip.publish(RECORDS_TOPIC, Buffer.alloc(65 * 1024)), {
    code: 'ERR_LIMIT',
  })
  publisher.gossip.unsubscribe(RECORDS_TOPIC)
})

test('a neighbour that gossips junk is soon not read any more, and the others are', async (t) => {
  const listener = await startHost(t)
  const [junk, good] = await Promise.all([
    startHost(t, { join: [listener] }),
    startHost(t, { join: [listener] }),
  ])
  let rejected = 0
  const greetings: string[] = []
  for (const host of [listener, junk, good]) {
    host.gossip.subscribe(RECORDS_TOPIC, (data) => {
      if (host !== listener) return 'accept'
      const text = Buffer.from(data).toString()
      if (text.startsWith('hello')) greetings.push(text)
      else rejected++
      return text.startsWith('hello') ? 'accept' : 'reject'
    })
  }
  await until(async () => {
    await junk.gossip.publish(RECORDS_TOPIC, randomBytes(20))
    return rejected > 0
  }, 'a first junk message')
  const sent = 2_000
  for (let count = 0; count < sent; count++) {
    await junk.gossip.publish(RECORDS_TOPIC, randomBytes(20))
  }
  let round = 0
  await until(async () => {
    await good.gossip.publish(RECORDS_TOPIC, Buffer.from(`hello ${round++}`))
    await new Promise((resolve) => setTimeout(resolve, 100))
    return greetings.length > 0
  }, 'a message of the good neighbour')
  t.ok(rejected < sent / 2, `${rejected} of ${sent} junk messages were read`)
})
