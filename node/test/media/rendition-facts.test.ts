/** When a rendition's description counts as changed, so that a new stream record is worth it. */
import { test } from 'tap'
import { PartTarget } from '../../src/media/packager/part-target.ts'
import { type PackagerRendition, RenditionFacts } from '../../src/media/packager/rendition-facts.ts'

const description: PackagerRendition = {
  info: {
    name: 'audio',
    kind: 'audio',
    codecs: 'mp4a.40.2',
    bandwidthBps: 128_000,
    width: 0,
    height: 0,
    frameRate: 0,
    channels: 2,
    language: 'en',
  },
  partTargetUs: 200_000,
  targetDurationS: 2,
  discontinuitiesBefore: 0,
}

test('a description has changed when any of its fields has, come or gone', async (t) => {
  const facts = new RenditionFacts({
    name: 'audio',
    target: new PartTarget(200),
    discontinuitiesBefore: 0,
  })
  const { language: _, ...silent } = description.info
  t.ok(facts.changed(description), 'the first')
  t.notOk(facts.changed({ ...description, info: { ...description.info } }), 'the same again')
  for (const changes of [
    { targetDurationS: 3 },
    { partTargetUs: 213_000 },
    { discontinuitiesBefore: 1 },
    { info: { ...description.info, bandwidthBps: 140_000 } },
    { info: { ...description.info, label: 'Commentary' } },
    { info: silent },
    { info: { ...silent, label: 'en' } },
  ]) {
    const changed = { ...description, ...changes }
    t.ok(facts.changed(changed), JSON.stringify(changes))
    t.notOk(facts.changed(changed))
    t.ok(facts.changed(description), 'and back')
  }
})
