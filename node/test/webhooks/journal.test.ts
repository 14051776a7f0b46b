// Deliveries that wait on a real disk: written in the background, in order, and gone for good once they are done.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { test } from 'tap'
import { type Logger, silentLogger } from '../../src/logger.ts'
import { type Delivery, DeliveryJournal } from '../../src/webhooks/journal.ts'
import { createWebhookMetrics } from '../../src/webhooks/webhook-metrics.ts'
import { metricOf } from '../support/registry-value.ts'

const delivery = (key: string, attempts = 0): Delivery => ({
  ...{ version: 1, key, id: `msg_${key}`, event: 'stream.ended', url: 'http://one.example/' },
  ...{ body: '{}', attempts, createdMs: 1_000 + attempts },
})

function journalAt(directory: string, logger: Logger = silentLogger) {
  const registry = new Registry()
  const metrics = createWebhookMetrics(registry, () => 0)
  return { registry, journal: new DeliveryJournal(directory, { logger, metrics }) }
}

test('nobody waits for the disk, and what is written last is what is there', async (t) => {
  const directory = join(t.testdir({}), 'webhooks')
  const { journal } = journalAt(directory)
  t.same(await journal.open(), [])
  for (const attempts of [0, 1, 2]) journal.write(delivery('a', attempts))
  journal.write(delivery('b'))
  t.notOk(existsSync(join(directory, 'a.json')), 'the disk has not been waited for')
  await journal.idle()
  t.same(readdirSync(directory).sort(), ['a.json', 'b.json'])
  t.equal(JSON.parse(readFileSync(join(directory, 'a.json'), 'utf8')).attempts, 2)
  t.same(await journalAt(directory).journal.open(), [delivery('b'), delivery('a', 2)])
})

test('what is done while it is written or waits to be written does not come back', async (t) => {
  const directory = join(t.testdir({}), 'webhooks')
  const { journal } = journalAt(directory)
  await journal.open()
  for (const key of ['a', 'b', 'c']) journal.write(delivery(key))
  // The first is under way, the second is not.
  journal.remove(delivery('a'))
  journal.remove(delivery('b'))
  await journal.idle()
  t.same(readdirSync(directory), ['c.json'])
  journal.write(delivery('c', 1))
  journal.remove(delivery('c'))
  journal.remove(delivery('never-written'))
  await journal.idle()
  t.same(readdirSync(directory), [])
})

test('a delivery of an earlier run is removed', async (t) => {
  const directory = t.testdir({ 'broken.json': '{', 'a.json.tmp': 'half' })
  writeFileSync(join(directory, 'a.json'), JSON.stringify(delivery('a')))
  writeFileSync(join(directory, 'other.json'), JSON.stringify(delivery('b')))
  const { journal } = journalAt(directory)
  t.same(await journal.open(), [delivery('a')])
  t.same(readdirSync(directory), ['a.json'], 'what is none is deleted')
  journal.remove(delivery('a'))
  await journal.idle()
  t.same(readdirSync(directory), [])
})

test('a disk that refuses is told once, counted each time, and used again when it takes', async (t) => {
  const directory = join(t.testdir({}), 'webhooks')
  const lines: unknown[] = []
  const logger: Logger = { ...silentLogger, error: (fields) => lines.push(fields) }
  const { journal, registry } = journalAt(directory, logger)
  await journal.open()
  // A folder in the place of the file is refused to everybody, the super-user too.
  mkdirSync(join(directory, 'a.json'))
  for (const attempts of [0, 1, 2]) {
    journal.write(delivery('a', attempts))
    await journal.idle()
  }
  t.match(lines, [{ what: 'write', err: { code: 'EISDIR' } }])
  t.equal(lines.length, 1)
  t.equal(await metricOf(registry, 'kairo_webhooks_unwritten_total'), 3)
  rmdirSync(join(directory, 'a.json'))
  journal.write(delivery('a', 3))
  await journal.idle()
  t.same(readdirSync(directory), ['a.json'])
})
