/** Writes objects into a store without end, for the test that kills it: `node store-writer.ts <folder> <round>`. */
import { randomBytes } from 'node:crypto'
import { Registry } from 'prom-client'
import { systemClock } from '../../src/clock.ts'
import { digestOf } from '../../src/content/digest.ts'
import { ContentStore } from '../../src/content/store/store.ts'
import { silentLogger } from '../../src/logger.ts'

const [directory = ''] = process.argv.slice(2)
const store = new ContentStore(
  { clock: systemClock, logger: silentLogger, registry: new Registry() },
  { directory, memoryBytesMax: 1024 * 1024, diskBytesMax: 64 * 1024 * 1024 },
)
await store.start()
for (;;) {
  const bytes = randomBytes(50_000)
  store.put(digestOf(bytes), bytes)
  process.stdout.write('.')
  await new Promise((resolve) => setImmediate(resolve))
}
