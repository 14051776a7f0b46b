/** Reads from a store while no more files can be opened, and afterwards: `node starved-reader.ts <folder>`, under a small `ulimit -n`. */
import { closeSync, openSync } from 'node:fs'
import { Registry } from 'prom-client'
import { metric, object, storeAt } from '../../support/stores.ts'

const [directory = ''] = process.argv.slice(2)
const registry = new Registry()
const store = storeAt(directory, { memoryBytesMax: 500 }, { registry })
await store.start()
const { digest, bytes } = object(1)
store.put(digest, bytes)
// On disk afterwards; too large for RAM.
await store.read(digest)
const taken: number[] = []
try {
  for (;;) taken.push(openSync('/dev/null', 'r'))
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
}
const starved = await store.read(digest)
for (const file of taken) closeSync(file)
const fed = await store.read(digest)
const said = {
  starved: `${starved}`,
  corrupt: await metric(registry, 'kairo_content_corrupt_total'),
  fed: fed?.equals(bytes) === true ? 'whole' : 'lost',
  short: await metric(registry, 'kairo_content_disk_errors_total', { code: 'EMFILE' }),
}
process.stdout.write(JSON.stringify(said))
await store.stop()
