/** Uses segment numbers without end and prints each, for the test that kills it: `node sequence-writer.ts <folder>`. */
import { writeSync } from 'node:fs'
import { Registry } from 'prom-client'
import { SequenceStore } from '../../src/content/publication/sequence-store.ts'
import { silentLogger } from '../../src/logger.ts'

const [directory = ''] = process.argv.slice(2)
const store = new SequenceStore({ logger: silentLogger, registry: new Registry() }, { directory })
await store.start()
const cursor = await store.open('k1')
for (let msn = cursor.nextMsn; ; msn += 1) {
  // Used and told in one turn, as a part is signed and sent.
  cursor.note(msn + 1, 0)
  writeSync(1, `${msn}\n`)
  await new Promise((resolve) => setTimeout(resolve, 1))
}
