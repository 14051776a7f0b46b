/** Numbers are never used twice: in order, after SIGKILL, and when the disk fails. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { SequenceStore } from '../../../src/content/publication/sequence-store.ts'
import { contentLimits } from '../../../src/limits.ts'
import { silentLogger } from '../../../src/logger.ts'
import { settle } from '../../support/manual-clock.ts'

function storeAt(directory: string, registry = new Registry()): SequenceStore {
  return new SequenceStore({ logger: silentLogger, registry }, { directory })
}

test('sequence store', async (t) => {
  await t.test('goes on where a session ended in order', async (t) => {
    const directory = t.testdir()
    const first = storeAt(directory)
    await first.start()
    const cursor = await first.open('k1')
    t.equal(cursor.nextMsn, 0)
    t.equal(cursor.discontinuitySequence, 0)
    cursor.note(17, 3)
    await t.rejects(first.open('k1'), { code: 'ERR_PUBLISHER_ACTIVE' })
    await cursor.close()
    await cursor.close()
    const again = await first.open('k1')
    t.equal(again.nextMsn, 17)
    t.equal(again.discontinuitySequence, 3)
    again.note(20, 3)
    await first.stop()
    const second = storeAt(directory)
    await second.start()
    t.equal((await second.open('k1')).nextMsn, 20)
    t.equal((await second.open('k2')).nextMsn, 0, 'streams do not share numbers')
    await second.stop()
  })

  await t.test('one process at a time', async (t) => {
    const directory = t.testdir()
    const first = storeAt(directory)
    await first.start()
    await t.rejects(storeAt(directory).start(), { code: 'ERR_ADDRESS_IN_USE' })
    await first.stop()
    await t.rejects(storeAt(join(t.testdir({ blocked: 'a file' }), 'blocked', 'state')).start(), {
      code: 'ERR_STORAGE',
    })
  })

  await t.test('a database that cannot write does not stop the stream', async (t) => {
    const registry = new Registry()
    const store = storeAt(t.testdir(), registry)
    await store.start()
    const cursor = await store.open('k1')
    await store.stop()
    cursor.note(1_000, 0)
    await settle()
    await cursor.close()
    await t.rejects(store.open('k1'), { code: 'ERR_STORAGE' })
    const failures = await registry.getSingleMetric('kairo_content_sequence_failures_total')?.get()
    t.equal(failures?.values[0]?.value, 0, 'a closed cursor writes no more')
  })

  await t.test('after SIGKILL the next session begins beyond every number used', async (t) => {
    const directory = t.testdir()
    let next = 0
    for (let round = 0; round < 3; round += 1) {
      const writer = new URL('../sequence-writer.ts', import.meta.url).pathname
      const child = spawn(process.execPath, [writer, directory])
      let output = ''
      let errors = ''
      child.stderr.on('data', (data: Buffer) => {
        errors += data.toString()
      })
      const exited = new Promise((resolve) => child.once('exit', resolve))
      await new Promise<void>((resolve) => {
        child.stdout.on('data', (data: Buffer) => {
          output += data.toString()
          if (output.split('\n').length > 150 + round * 37) resolve()
        })
        child.once('exit', () => resolve())
      })
      child.kill('SIGKILL')
      await exited
      t.equal(errors, '')
      const used = output.split('\n').slice(0, -1).map(Number)
      t.equal(used[0], next, 'the child begins where the numbering says')
      const store = storeAt(directory)
      await store.start()
      const cursor = await store.open('k1')
      t.ok(cursor.nextMsn > Math.max(...used), `${cursor.nextMsn} is beyond ${Math.max(...used)}`)
      t.ok(cursor.nextMsn <= Math.max(...used) + 2 * contentLimits.sequenceBlock, 'and not far')
      next = cursor.nextMsn
      await store.stop()
    }
  })
})
