/**
 * A hostile neighbour on the purge protocol of real peers over real libp2p: junk, floods, forged and foreign purges, streams that nobody reads,
 * answers that are none. Purges of the others reach their caches all the same, and nothing but what somebody has signed is taken.
 */
import { randomBytes } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { t as root, type Test, test } from 'tap'
import { signPurge } from '../../src/cdn/purge/purge-message.ts'
import { encodeState } from '../../src/cdn/purge/purge-wire.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { peerSigner } from '../../src/host/peer-signature.ts'
import { PURGE_PROTOCOL } from '../../src/host/protocols.ts'
import { purgeLimits } from '../../src/limits/purge.ts'
import { encodeFrameHeader } from '../../src/protocol/frame-codec.ts'
import { PurgeRequestSchema } from '../../src/protocol/generated/purge_pb.js'
import { startHost } from '../support/hosts.ts'
import {
  A,
  getAtPeer,
  type PurgeTestPeer,
  purgeAtPeer,
  startPurgeMesh,
  untilReady,
} from '../support/purge-peers.ts'
import { until } from '../support/until.ts'

root.setTimeout(180_000)

const KEPT = 'https://cdn.example/kept'
const epoch = '0123456789abcdef'

interface World {
  readonly peers: readonly [PurgeTestPeer, PurgeTestPeer]
  readonly hostile: Libp2pHost
  readonly signer: ReturnType<typeof peerSigner>
}

/** Both peers still do what they are for. */
async function goesOn(t: Test, { peers }: World, after: string): Promise<void> {
  const [first, second] = peers
  await until(async () => {
    for (const peer of peers) await peer.call({ op: 'put', url: A.url, body: 'old' })
    const { peers: outcomes } = await purgeAtPeer(first)
    return outcomes.find(({ peerId }) => peerId === second.peerId)?.status === 'done'
  }, `a purge after ${after}`)
  for (const peer of peers) {
    await untilReady(peer)
    t.strictSame(await getAtPeer(peer), { ready: true }, `purged after ${after}`)
    const kept = await peer.call<{ body?: string }>({ op: 'get', url: KEPT })
    t.equal(kept.body, 'kept', `and nothing else after ${after}`)
  }
}

async function open({ hostile }: World, peer: PurgeTestPeer) {
  return await hostile.open(peer.peerId, PURGE_PROTOCOL, { signal: AbortSignal.timeout(60_000) })
}

/** Writes as long as the other side takes it. */
async function write(world: World, peer: PurgeTestPeer, ...frames: readonly Uint8Array[]) {
  try {
    const stream = await open(world, peer)
    for (const frame of frames) await stream.write(frame)
  } catch {
    // Being cut off is what this neighbour is here for.
  }
}

function frame(message: Parameters<typeof create<typeof PurgeRequestSchema>>[1]): Buffer {
  return encodeFrameHeader(
    PurgeRequestSchema,
    create(PurgeRequestSchema, { version: 1, number: 1, ...message }),
  )
}

async function junk(world: World): Promise<void> {
  const bomb = Buffer.concat([Buffer.of(0xff, 0xff, 0xff, 0x7f), randomBytes(100)])
  const state = encodeState(
    Array.from({ length: 2_000 }, (_, index) => ({
      ...{ issuer: world.signer.peerId, epoch: index.toString(16).padStart(16, '0') },
      ...{ through: index + 1, beyond: [], floor: index },
    })),
  )
  for (const peer of world.peers) {
    for (let count = 0; count < 30; count += 1) {
      await write(world, peer, bomb)
      await write(world, peer, randomBytes(2_000))
      await write(world, peer, frame({ digest: Buffer.alloc(32) }).subarray(0, 10))
    }
    // Questions whose answers nobody reads, and states of origins that do not exist.
    await write(world, peer, ...Array.from({ length: 200 }, () => frame({ state })))
  }
}

/** Purges that the hostile peer may not make: of others, changed, too far ahead, and more of its own than an honest peer makes. */
async function forged(world: World): Promise<void> {
  const { signer, peers } = world
  const foreign = peerSigner(await generateKeyPair('Ed25519'))
  const everything = { selector: { by: 'everything' }, mode: 'hard', issuedAtMs: 1 } as const
  const wires = [
    signPurge(signer, { ...everything, issuer: peers[0].peerId, epoch, sequence: 1 }).wire,
    signPurge(foreign, { ...everything, issuer: foreign.peerId, epoch, sequence: 1 }).wire,
    signPurge(foreign, { ...everything, issuer: signer.peerId, epoch, sequence: 1 }).wire,
    signPurge(signer, { ...everything, issuer: signer.peerId, epoch, sequence: 1_000_000 }).wire,
  ]
  for (const peer of peers) {
    await write(world, peer, ...wires.map((purge, index) => frame({ purge, number: index + 1 })))
  }
}

async function flood(world: World): Promise<void> {
  const { signer, peers } = world
  const selector = { by: 'url', url: 'https://cdn.example/flood' } as const
  const frames = Array.from({ length: purgeLimits.issuerBurst + 200 }, (_, index) => {
    const sequence = index + 1
    const purge = { issuer: signer.peerId, epoch, sequence, issuedAtMs: 1, selector }
    return frame({ number: sequence, purge: signPurge(signer, { ...purge, mode: 'hard' }).wire })
  })
  for (const peer of peers) await write(world, peer, ...frames)
}

/** Streams that are opened and left, more than a peer may have. */
async function idle(world: World): Promise<void> {
  for (const peer of world.peers) {
    for (let count = 0; count < 60; count += 1) await write(world, peer)
  }
}

/** From now on it answers, with anything but answers, or not at all. */
async function badAnswers({ hostile, peers }: World): Promise<void> {
  let asked = 0
  await hostile.handle(PURGE_PROTOCOL, async (stream) => {
    asked += 1
    if (asked % 2 === 0) await stream.write(randomBytes(5_000))
    // Never closed, never read.
    await new Promise((resolve) => setTimeout(resolve, 600_000).unref())
  })
  await hostile.dial(peers[0].multiaddrs, { signal: AbortSignal.timeout(60_000) })
}

test('two peers outlive a hostile neighbour on the purge protocol', async (t) => {
  const peers = (await startPurgeMesh(t, 2)) as [PurgeTestPeer, PurgeTestPeer]
  const privateKey = await generateKeyPair('Ed25519')
  const hostile = await startHost(t, { privateKey })
  const world: World = { peers, hostile, signer: peerSigner(privateKey) }
  for (const peer of peers) {
    await hostile.dial(peer.multiaddrs, { signal: AbortSignal.timeout(60_000) })
    await peer.call({ op: 'put', url: KEPT, body: 'kept' })
  }
  await goesOn(t, world, 'the start')
  await junk(world)
  await goesOn(t, world, 'junk')
  await forged(world)
  await goesOn(t, world, 'forged purges')
  await idle(world)
  await goesOn(t, world, 'idle streams')
  await flood(world)
  await goesOn(t, world, 'a flood of its own purges')
  await badAnswers(world)
  await goesOn(t, world, 'answers that are none')
  for (const { child } of peers) t.equal(child.exitCode, null)
})
