/**
 * Writes, keeps and deletes objects in a store without end, for the test that kills it: `node crashing-writer.ts <folder> <round>`.
 * Prints a line for each object that it was told is kept.
 */
import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import { systemClock } from '../../../src/clock.ts'
import { digestOf } from '../../../src/content/digest.ts'
import { ContentStore } from '../../../src/content/store/store.ts'
import { silentLogger } from '../../../src/logger.ts'

const [directory = '', round = ''] = process.argv.slice(2)
/** Time runs faster here, so that the catalog is written many times before the end. */
const hasty = {
  ...systemClock,
  after: (delayMs: number, callback: () => void) => systemClock.after(delayMs / 50, callback),
}
const store = new ContentStore(
  { clock: hasty, logger: silentLogger, registry: new Registry() },
  { directory, memoryBytesMax: 4 * 1024 * 1024, diskBytesMax: 96 * 1024 * 1024, diskFilesMax: 500 },
)
await store.start()
const owner = { tenant: `round ${round}`, stream: 'a stream' }
const written: string[] = []
for (let count = 0; ; count += 1) {
  // Large ones are written in several steps, between which the end may come.
  const bytes = randomBytes(count % 3 === 0 ? 3_000_000 : 20_000)
  const digest = digestOf(bytes)
  store.put(digest, bytes, { owner })
  written.push(digest)
  if (count % 20 === 19) {
    // What another keeps besides, and lets go again, changes nothing of the operator's word.
    await Promise.all([store.keep(digest, 'operator'), store.keep(digest, 'ipfs')])
    await store.release(digest, 'ipfs')
    process.stdout.write(`${digest}\n`)
  }
  if (count % 7 === 6) store.delete(written.shift() ?? '')
  await new Promise((resolve) => setImmediate(resolve))
}
