/** The file of facts in a folder that loses power. */
import { test } from 'tap'
import {
  drawRegionId,
  isRegionId,
  type RegionFacts,
  readFacts,
  removeFacts,
  writeFacts,
} from '../../src/region/region-facts.ts'
import { PowerCut, SimulatedFolder, systemError } from '../support/simulated-folder.ts'
import { seededRandom } from './support/seeded-random.ts'

const facts: RegionFacts = {
  regionId: drawRegionId(seededRandom(1)),
  name: 'default',
  foundedAtMs: 1_700_000_000_000,
  memberId: 3,
  incarnation: 1,
  contacts: ['peer-one', 'peer-two'],
}

function folderOf(seed: number): SimulatedFolder {
  const random = seededRandom(seed)
  return new SimulatedFolder((below) => Math.floor(random() * below))
}

test('facts are read as they were written, and can be forgotten', async (t) => {
  const folder = folderOf(1)
  t.equal(await readFacts(folder), undefined)
  await writeFacts(folder, facts)
  t.same(await readFacts(folder), facts)
  await writeFacts(folder, { ...facts, incarnation: 2 })
  t.same(await readFacts(folder.losePower()), { ...facts, incarnation: 2 })
})

test('what is forgotten stays forgotten', async (t) => {
  const folder = folderOf(2)
  await removeFacts(folder)
  await writeFacts(folder, facts)
  await removeFacts(folder)
  t.equal(await readFacts(folder.losePower()), undefined)
})

test('a cut at any call leaves the old facts or the new ones', async (t) => {
  for (let seed = 0; seed < 20; seed++) {
    for (let call = 1; call < 12; call++) {
      const before = folderOf(seed)
      await writeFacts(before, facts)
      const folder = before.handOver()
      folder.interfere = (_, __, nth) => (nth === call ? new PowerCut('now') : undefined)
      const wrote = await writeFacts(folder, { ...facts, incarnation: 2 }).then(
        () => true,
        () => false,
      )
      const found = await readFacts(folder.losePower())
      if (found === undefined) t.fail(`seed ${seed}, call ${call}: nothing is there`)
      if (wrote && found?.incarnation !== 2) t.fail(`seed ${seed}, call ${call}: not durable`)
      t.match(found, { regionId: facts.regionId })
      // And the next write works, whatever was left behind.
    }
  }
})

test('a half that was left behind is in nobody’s way', async (t) => {
  const folder = folderOf(3)
  folder.put('region.tmp', new Uint8Array(3))
  await writeFacts(folder, facts)
  t.same(await readFacts(folder), facts)
  t.same(folder.names(), ['region'])
})

test('damage is told', async (t) => {
  const folder = folderOf(4)
  folder.put('region', new Uint8Array(100))
  await t.rejects(readFacts(folder), { code: 'ERR_MALFORMED' })
  folder.put('region', new Uint8Array(1))
  await t.rejects(readFacts(folder), { code: 'ERR_MALFORMED' })
  folder.put('region', new Uint8Array(100_000))
  await t.rejects(readFacts(folder), { code: 'ERR_MALFORMED' })
  folder.interfere = () => systemError('EIO')
  await t.rejects(readFacts(folder), { code: 'EIO' })
})

test('region ids', async (t) => {
  t.ok(isRegionId(facts.regionId))
  t.notOk(isRegionId('ab'))
  t.notOk(isRegionId('G'.repeat(32)))
  t.not(drawRegionId(seededRandom(1)), drawRegionId(seededRandom(2)))
})
