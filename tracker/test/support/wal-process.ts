/**
 * A process that writes a log in the folder of its first argument until it is killed. After each sync it prints, in one
 * line, the last index that is now durable in each group: `synced 10 4 7`. Each entry's bytes follow from group and index.
 */
import { writeSync } from 'node:fs'
import { openDiskFolder } from '../../src/wal/disk-folder.ts'
import { drawFrom, entriesFrom, openLog } from './log-stage.ts'

const [path = '', seed = '0'] = process.argv.slice(2)
const draw = drawFrom(Number(seed))
const { log, groups } = await openLog(await openDiskFolder(path))
const last = [0, 1, 2].map((group) => {
  const found = groups.get(group)
  return found?.entries.at(-1)?.index ?? found?.snapshot.index ?? 0
})
const compacted = [0, 1, 2].map((group) => groups.get(group)?.snapshot.index ?? 0)
writeSync(1, 'ready\n')

for (;;) {
  for (let append = 0; append <= draw(4); append++) {
    const group = draw(3)
    const before = last[group] as number
    const entries = entriesFrom(before + 1, 1 + draw(3), 1, draw(10) === 0 ? 9000 : 100)
    last[group] = before + entries.length
    log.append({ group, hardState: { term: 1, vote: 1, commit: before }, entries })
    if (draw(40) === 0 && before > (compacted[group] as number)) {
      compacted[group] = before
      log.compact(group, { index: before, term: 1 })
    }
  }
  const promised = last.join(' ')
  await log.sync()
  writeSync(1, `synced ${promised}\n`)
}
