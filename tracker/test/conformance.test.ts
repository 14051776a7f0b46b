/** Every scenario file of the shared conformance suite, and scenarios of our own for what those do not reach. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { runScenario } from './conformance/scenario.ts'

const shared = join(import.meta.dirname, '../../../shared/raft-conformance')
const own = join(import.meta.dirname, 'scenarios')

function scenariosIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.txt'))
    .sort()
}

for (const [name, folder] of [
  ['shared', shared],
  ['own', own],
] as const) {
  const skip = existsSync(folder)
    ? false
    : `THE ${name.toUpperCase()} SCENARIOS ARE NOT THERE: ${folder}`
  if (skip !== false) process.stderr.write(`${skip}\n`)
  test(`${name} scenarios`, { skip }, async (t) => {
    const files = scenariosIn(folder)
    t.ok(files.length > 0, 'there are scenarios')
    for (const file of files) {
      const { difference, directives } = runScenario(readFileSync(join(folder, file), 'utf8'))
      t.equal(difference, undefined, `${file}, ${directives} directives`)
    }
  })
}

const election = `log-level none
----
ok

add-nodes 3 voters=(1,2,3) index=10
----
ok

campaign 1
----
ok

stabilize
----
ok

raft-state
----
`

test('the first difference is found', async (t) => {
  const same = runScenario(`${election}ok\n`)
  t.equal(same.difference, undefined, 'nothing is printed at the highest level')
  const silent = election.replace('raft-state', 'log-level debug\n----\nok\n\nraft-state')
  const right = `1: StateLeader (Voter) Term:1 Lead:1
2: StateFollower (Voter) Term:1 Lead:1
3: StateFollower (Voter) Term:1 Lead:1
`
  t.equal(runScenario(silent + right).difference, undefined)
  t.match(
    runScenario(silent + right.replace('2: StateFollower', '2: StateLeader')).difference,
    { command: 'raft-state', line: 21, differsAt: 24 },
    'a line that differs',
  )
  t.match(runScenario(silent + right.slice(0, 60)).difference, { differsAt: 24 })
  t.match(
    runScenario(`${silent}${right}4: more\n`).difference,
    { differsAt: 26 },
    'a line too many',
  )
  t.match(runScenario('nonsense 1\n----\nok\n').difference, { actual: 'unknown command\n' })
  t.match(runScenario('campaign 7\n----\nok\n').difference, { actual: /there is no node 7/ })
  t.throws(() => runScenario('campaign 1\nok\n'), /line 1/)
})

test('lines of the log may be left out, others may not', async (t) => {
  const head = 'add-nodes 1 voters=(1) index=3\n----\n'
  t.equal(runScenario(`${head}ok\n`).difference, undefined)
  t.equal(runScenario(`${head}INFO something else\n`).difference, undefined)
  const text = `${head}ok\n\ncampaign 1\n----\nok\n\nprocess-ready 1\n----\n`
  const ready =
    'Ready MustSync=true:\nLead:0 State:StateCandidate\nHardState Term:1 Vote:1 Commit:3\n'
  t.equal(runScenario(text + ready).difference, undefined)
  t.ok(runScenario(text + ready.replace('MustSync=true', 'MustSync=false')).difference)
})

test('the program names file and line, and its exit code tells', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'kairo-conformance-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [good, bad] = [join(folder, 'good.txt'), join(folder, 'bad.txt')]
  writeFileSync(good, 'vote cfg=(1) votes=(y)\n----\nVoteWon\n')
  writeFileSync(bad, '# two lines\n\nvote cfg=(1) votes=(n)\n----\nVoteWon\n')
  const run = (...files: string[]) =>
    spawnSync(process.execPath, [join(import.meta.dirname, 'conformance/run.ts'), ...files], {
      encoding: 'utf8',
    })
  t.match(run(good), { status: 0, stdout: /1 passed, 0 failed/ })
  const failed = run(good, bad, join(folder, 'missing.txt'))
  t.match(failed, { status: 1, stdout: /1 passed, 2 failed/ })
  t.match(failed.stdout, `FAIL ${bad}:5: vote (line 3)`)
  t.match(failed.stdout, /missing\.txt: ENOENT/)
  t.match(run(), { status: 2, stderr: /usage/ })
})
