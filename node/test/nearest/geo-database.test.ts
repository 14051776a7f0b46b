/** The operator's database of places: read, read again when it changes, done without when it is broken. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { type Test, test } from 'tap'
import { geoLimits } from '../../src/limits/nearest.ts'
import { silentLogger } from '../../src/logger.ts'
import { GeoDatabase } from '../../src/nearest/geo-database.ts'
import { kilometresBetween } from '../../src/nearest/geo-point.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { writeMmdb } from '../support/mmdb-writer.ts'
import { metricOf } from '../support/registry-value.ts'

const berlin = { latitude: 52.52, longitude: 13.4 }
const sydney = { latitude: -33.87, longitude: 151.21 }

async function openDatabase(t: Test, path: string) {
  const clock = new ManualClock()
  const registry = new Registry()
  const geo = new GeoDatabase({ clock, logger: silentLogger, registry }, { path })
  await geo.start()
  t.teardown(() => geo.stop())
  return { geo, clock, registry }
}

/** The check of the file runs on the disk, not on the clock. */
async function checked(clock: ManualClock, isDone: () => boolean): Promise<void> {
  clock.advance(geoLimits.checkIntervalMs)
  while (!isDone()) await new Promise((resolve) => setImmediate(resolve))
}

test('addresses are placed, IPv4 and IPv6', async (t) => {
  const path = join(t.testdir(), 'city.mmdb')
  writeFileSync(
    path,
    writeMmdb([
      { network: '192.0.2.0/24', ...berlin },
      { network: '2001:db8::/32', ...sydney },
    ]),
  )
  const { geo, registry } = await openDatabase(t, path)
  t.same(geo.locate('192.0.2.77'), berlin)
  t.same(geo.locate('2001:db8:1::1'), sydney)
  t.equal(geo.locate('198.51.100.1'), undefined)
  t.equal(geo.locate('no address'), undefined)
  t.match(geo.status(), { state: 'ok', description: 'Test-City' })
  t.equal(await metricOf(registry, 'kairo_nearest_geo_lookups_total', { outcome: 'found' }), 2)
})

test('the file is read again when it changes; a broken one is told and the old goes on', async (t) => {
  const path = join(t.testdir(), 'city.mmdb')
  writeFileSync(path, writeMmdb([{ network: '192.0.2.0/24', ...berlin }]))
  const { geo, clock } = await openDatabase(t, path)
  const entries = [
    { network: '192.0.2.0/24', ...sydney },
    { network: '198.51.100.0/24', ...berlin },
  ]
  writeFileSync(path, writeMmdb(entries))
  await checked(clock, () => geo.locate('198.51.100.1') !== undefined)
  t.same(geo.locate('192.0.2.1'), sydney)
  writeFileSync(path, 'this is no database')
  await checked(clock, () => geo.status().state === 'bad')
  t.match(geo.status(), { state: 'bad', reason: /./ })
  t.same(geo.locate('192.0.2.1'), sydney, 'what was read before')
  writeFileSync(path, writeMmdb(entries.slice(1)))
  await checked(clock, () => geo.status().state === 'ok')
  t.equal(geo.locate('192.0.2.1'), undefined)
})

test('without a file, or with one that is not there, nobody is placed and the peer goes on', async (t) => {
  const without = await openDatabase(t, '')
  t.same(without.geo.status(), { state: 'off' })
  t.equal(without.geo.locate('192.0.2.1'), undefined)
  const missing = await openDatabase(t, join(t.testdir(), 'missing.mmdb'))
  t.match(missing.geo.status(), { state: 'bad', reason: /ENOENT/ })
  t.equal(missing.geo.locate('192.0.2.1'), undefined)
})

test('distances go along the earth', (t) => {
  t.equal(Math.round(kilometresBetween(berlin, sydney) / 100), 161)
  t.equal(kilometresBetween(berlin, berlin), 0)
  const [east, west] = [179, -179].map((longitude) => ({ latitude: 0, longitude }))
  t.ok(kilometresBetween(east as typeof berlin, west as typeof berlin) < 250, 'over the date line')
  t.end()
})
