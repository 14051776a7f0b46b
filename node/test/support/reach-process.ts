/**
 * A host as a process of its own, to be run in a network namespace. Argument: JSON of {@link ReachProcessInit}. Answers each
 * line of standard input with one line of JSON: `status`; `dial <address>`; `ask <peer id> <protocol>`. Stops when its
 * standard input ends.
 */
import { createInterface } from 'node:readline'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { Registry } from 'prom-client'
import { systemClock } from '../../src/clock.ts'
import { isKairoError } from '../../src/errors.ts'
import { Join } from '../../src/host/join.ts'
import { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { FEED_PROTOCOL, RECORDS_PROTOCOL } from '../../src/host/protocols.ts'
import { silentLogger } from '../../src/logger.ts'

/** What the process is told. */
export interface ReachProcessInit {
  readonly listen: readonly string[]
  readonly relay: boolean
  readonly join: readonly string[]
}

const init = JSON.parse(process.argv[2] ?? '') as ReachProcessInit
const components = { clock: systemClock, logger: silentLogger, registry: new Registry() }
const privateKey = await generateKeyPair('Ed25519')
const host = new Libp2pHost(components, {
  ...{ privateKey, listen: init.listen, relay: init.relay, mdns: false },
})
await host.start()
for (const protocol of [FEED_PROTOCOL, RECORDS_PROTOCOL]) {
  await host.handle(protocol, async (stream) => {
    for await (const chunk of stream.incoming) await stream.write(chunk)
  })
}
const join = new Join({ ...components, host, random: Math.random }, { targets: init.join })
join.start()
process.stdout.write(`${JSON.stringify({ peerId: host.peerId })}\n`)
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(line).catch(failure))}\n`)
}
await join.stop()
await host.stop()

async function answer(line: string): Promise<object> {
  const [command, ...words] = line.split(' ')
  const signal = AbortSignal.timeout(30_000)
  if (command === 'dial') return { peerId: await host.dial(words, { signal }) }
  if (command === 'ask') {
    const stream = await host.open(words[0] ?? '', words[1] ?? '', { signal })
    await stream.write(Buffer.from('hello'))
    await stream.close()
    const chunks: Uint8Array[] = []
    for await (const chunk of stream.incoming) chunks.push(chunk)
    return { answer: Buffer.concat(chunks).toString() }
  }
  return { ...host.reach(), multiaddrs: host.multiaddrs(), peers: host.peers() }
}

function failure(error: unknown): object {
  return { error: isKairoError(error) ? error.code : String(error) }
}
