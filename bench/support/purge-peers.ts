/** Peers with purges as processes of their own, each connected to every other. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../node/test/support/purge-process.ts', import.meta.url))

/** Attempts to connect two peers. */
const DIALS_MAX = 5

/** One running peer. */
export interface PurgePeerProcess {
  readonly peerId: string
  readonly multiaddrs: readonly string[]
  /** Says something to it and waits for the answer. */
  call<Value>(command: object): Promise<Value>
}

/** Running peers. */
export interface PurgePeers {
  readonly peers: readonly PurgePeerProcess[]
  stop(): Promise<void>
}

/** Starts peers and connects each with every other. */
export async function startPurgePeers(count: number): Promise<PurgePeers> {
  const home = await mkdtemp(join(tmpdir(), 'kairo-bench-purge-'))
  const children: ChildProcess[] = []
  const stop = async (): Promise<void> => {
    const ends = children.map((child) => once(child, 'exit'))
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(ends)
    await rm(home, { recursive: true, force: true })
  }
  try {
    for (let index = 0; index < count; index += 1) {
      children.push(fork(PROGRAM, [join(home, String(index)), 'no']))
    }
    const peers = await Promise.all(children.map(peerOf))
    for (const [index, peer] of peers.entries()) {
      for (const { multiaddrs } of peers.slice(0, index)) await connect(peer, multiaddrs)
    }
    return { peers, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A handshake may run out of time while twenty programs start on few processors. */
async function connect(peer: PurgePeerProcess, multiaddrs: readonly string[]): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await peer.call({ op: 'dial', multiaddrs })
      return
    } catch (error) {
      if (attempt === DIALS_MAX) throw error
    }
  }
}

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

async function peerOf(child: ChildProcess): Promise<PurgePeerProcess> {
  const waiting = new Map<number, (answer: Answer) => void>()
  let lastId = 0
  const [{ ready }] = (await once(child, 'message')) as [
    { ready: { peerId: string; multiaddrs: string[] } },
  ]
  child.on('message', (answer: Answer) => waiting.get(answer.id)?.(answer))
  return {
    ...ready,
    call: async <Value>(command: object): Promise<Value> => {
      lastId += 1
      const id = lastId
      const { value, error } = await new Promise<Answer>((resolve) => {
        waiting.set(id, resolve)
        child.send({ id, command })
      })
      waiting.delete(id)
      if (error !== undefined) throw new Error(error)
      return value as Value
    },
  }
}
