/** Content stores on a real disk, objects for them, and a look at what lies there. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { type Clock, systemClock } from '../../src/clock.ts'
import { digestOf } from '../../src/content/digest.ts'
import { ContentStore, type ContentStoreInit } from '../../src/content/store/store.ts'
import { type Logger, silentLogger } from '../../src/logger.ts'

const MiB = 1024 * 1024

/** A store with 8 MiB in RAM and on disk, not started; in RAM only without a directory. */
export function storeAt(
  directory: string | undefined,
  init: Partial<ContentStoreInit> = {},
  components: { clock?: Clock; logger?: Logger; registry?: Registry } = {},
): ContentStore {
  return new ContentStore(
    { clock: systemClock, logger: silentLogger, registry: new Registry(), ...components },
    {
      ...(directory === undefined ? {} : { directory }),
      memoryBytesMax: 8 * MiB,
      diskBytesMax: 8 * MiB,
      ...init,
    },
  )
}

/** An object that its seed decides, and its name. */
export function object(seed: number, bytes = 1000): { digest: string; bytes: Buffer } {
  const content = Buffer.alloc(bytes, seed % 256)
  content.writeUInt32BE(seed, 0)
  return { digest: digestOf(content), bytes: content }
}

/** Files of a store's folder, the catalog not among them. */
export async function filesOf(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true })
  return found
    .filter((entry) => entry.isFile() && entry.name !== 'catalog')
    .map((entry) => join(entry.parentPath, entry.name))
}

/** The value of a metric of a registry with these labels, the first where several have them; 0 when there is none. */
export async function metric(
  registry: Registry,
  name: string,
  labels: object = {},
): Promise<number> {
  const found = await registry.getSingleMetric(name)?.get()
  const wanted = Object.entries(labels)
  const value = found?.values.find((candidate) =>
    wanted.every(
      ([key, expected]) => (candidate.labels as Record<string, unknown>)[key] === expected,
    ),
  )
  return value?.value ?? 0
}
