/** The IPFS room over a real store, alone or on a real libp2p host; stopped with the test. */
import { join } from 'node:path'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import type { ContentStore, ContentStoreInit } from '../../src/content/store/store.ts'
import { KairoError } from '../../src/errors.ts'
import type { Libp2pHost } from '../../src/host/libp2p-host.ts'
import { IpfsService } from '../../src/ipfs/service.ts'
import { silentLogger } from '../../src/logger.ts'
import { startHost } from './hosts.ts'
import { storeAt } from './stores.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A room and what it stands on. */
export interface IpfsRoom {
  readonly ipfs: IpfsService
  readonly store: ContentStore
  readonly registry: Registry
}

/** How a room is made. */
export interface IpfsRoomOptions {
  /** Folder of the store and the pins; a new one by default. */
  readonly directory?: string
  readonly store?: Partial<ContentStoreInit>
  readonly fetch?: (digest: string, providers: readonly string[]) => Promise<Buffer>
  readonly providers?: readonly string[]
}

/** Starts the store, and makes a room that has no network and is not started. */
export async function ipfsRoom(t: Test, options: IpfsRoomOptions = {}): Promise<IpfsRoom> {
  return await makeRoom(t, options, undefined)
}

/** A started room with bitswap on a host of its own. */
export async function ipfsPeer(
  t: Test,
  options: IpfsRoomOptions = {},
): Promise<IpfsRoom & { readonly host: Libp2pHost }> {
  const host = await startHost(t)
  const room = await makeRoom(t, options, host)
  await room.ipfs.start()
  t.teardown(() => room.ipfs.stop())
  return { ...room, host }
}

async function makeRoom(
  t: Test,
  options: IpfsRoomOptions,
  host: Libp2pHost | undefined,
): Promise<IpfsRoom> {
  const directory = options.directory ?? temporaryFolder(t)
  const registry = new Registry()
  const store = storeAt(
    join(directory, 'content'),
    { memoryBytesMax: 2 ** 24, diskBytesMax: 2 ** 26, ...options.store },
    { registry },
  )
  await store.start()
  t.teardown(() => store.stop())
  const none = async (): Promise<never> => {
    throw new KairoError('ERR_NO_PROVIDER', 'nobody has it')
  }
  const ipfs = new IpfsService(
    {
      ...{ clock: systemClock, logger: silentLogger, registry, store },
      fetcher: { fetch: options.fetch ?? none },
      providersOf: () => options.providers ?? [],
      network: {
        libp2p: () => {
          if (host === undefined) throw new Error('this room has no network')
          return host.libp2p()
        },
        dial: async (addresses, dialOptions) => {
          if (host === undefined) throw new Error('this room has no network')
          return await host.dial(addresses, dialOptions)
        },
      },
    },
    { directory: join(directory, 'pins') },
  )
  return { ipfs, store, registry }
}

/** Bytes that their seed decides and that do not repeat. */
export function noise(bytes: number, seed = 1): Buffer {
  const result = Buffer.alloc(bytes)
  let state = seed >>> 0 || 1
  for (let at = 0; at < bytes; at += 1) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    result[at] = state & 0xff
  }
  return result
}

/** Bytes as a stream of pieces. */
export async function* pieces(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size)
}

/** Files by path as the folder `name` in a tar archive. */
export async function* folderOf(
  files: Readonly<Record<string, Buffer>>,
  name = 'site',
): AsyncGenerator<Uint8Array> {
  const { writeTar } = await import('../../src/ipfs/tar/tar-writer.ts')
  async function* entries() {
    yield { type: 'folder' as const, path: name, bytes: 0, content: () => pieces(Buffer.alloc(0)) }
    for (const [path, bytes] of Object.entries(files)) {
      yield {
        ...{ type: 'file' as const, path: `${name}/${path}` },
        ...{ bytes: bytes.byteLength, content: () => pieces(bytes) },
      }
    }
  }
  yield* writeTar(entries())
}

/** All of a stream. */
export async function gathered(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of body) all.push(piece)
  return Buffer.concat(all)
}
