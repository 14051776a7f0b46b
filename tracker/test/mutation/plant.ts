/**
 * Plants one bug: `KAIRO_PLANTED_BUG=<name> node --import tracker/test/mutation/plant.ts <test>` loads the source
 * with that one change. Nothing on disk is touched.
 */
import assert from 'node:assert/strict'
import { registerHooks } from 'node:module'
import { plantedBugs } from './planted-bugs.ts'

const bug = plantedBugs.find(({ name }) => name === process.env.KAIRO_PLANTED_BUG)
assert(bug !== undefined, `no bug is named ${process.env.KAIRO_PLANTED_BUG}`)

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (!url.endsWith(`/tracker/src/${bug.file}`)) return loaded
    const source = String(loaded.source)
    assert.equal(source.split(bug.from).length, 2, 'the place to plant it occurs once')
    return { ...loaded, source: source.replace(bug.from, () => bug.to) }
  },
})
