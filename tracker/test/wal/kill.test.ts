/** Real processes that write a real log and are killed at random moments: everything that was acknowledged is there. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'tap'
import { openDiskFolder } from '../../src/wal/disk-folder.ts'
import { recoverLog } from '../../src/wal/recovery.ts'
import { entriesFrom, testOwner } from '../support/log-stage.ts'

const KILLS = 12
/** Syncs of one life at most; the moment within is left to chance. */
const SYNCS_MAX = 120

const script = join(import.meta.dirname, '../support/wal-process.ts')

/** Runs a writer until it has synced so often, kills it, and returns what it had acknowledged last. */
async function liveAndDie(folder: string, seed: number, syncs: number): Promise<number[]> {
  const child = spawn(process.execPath, [script, folder, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  let acknowledged: number[] = []
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('synced ')) {
      acknowledged = line.slice('synced '.length).split(' ').map(Number)
      seen += 1
    }
    // Lines that were printed before the kill are still read.
    if (seen === syncs || (syncs === 0 && line === 'ready')) child.kill('SIGKILL')
  }
  const [code, signal] = await exited
  if (signal !== 'SIGKILL') throw new Error(`the writer ended by itself: ${code}`)
  return acknowledged
}

test('everything acknowledged outlives a SIGKILL', async (t) => {
  const path = t.testdir()
  let held = [0, 0, 0]
  let acknowledgedAll = 0
  for (let life = 0; life < KILLS; life++) {
    const acknowledged = await liveAndDie(path, life, Math.floor(Math.random() * SYNCS_MAX))
    if (acknowledged.length > 0) held = acknowledged
    const { groups } = await recoverLog(await openDiskFolder(path), testOwner)
    for (const [group, index] of held.entries()) {
      const found = groups.get(group)
      const entries = found?.entries ?? []
      const last = entries.at(-1)?.index ?? found?.snapshot.index ?? 0
      if (last < index) t.fail(`group ${group}: ${index} was acknowledged, the log ends at ${last}`)
      for (const entry of entries) {
        const [expected] = entriesFrom(entry.index, 1, 1, entry.data.length)
        if (Buffer.compare(entry.data, expected?.data as Uint8Array) !== 0)
          t.fail(`group ${group}: entry ${entry.index} has other bytes`)
      }
      held[group] = last
    }
    acknowledgedAll = held.reduce((sum, index) => sum + index, 0)
  }
  t.ok(acknowledgedAll > 0, `${acknowledgedAll} entries were acknowledged in ${KILLS} lives`)
})
