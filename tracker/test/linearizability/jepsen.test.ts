/** The checker against recorded histories of etcd, whose verdicts are known from other checkers. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { checkLinearizable, explain } from '../support/linearizability/checker.ts'
import { parseJepsenLog } from '../support/linearizability/jepsen-log.ts'
import { registerModel } from '../support/linearizability/models.ts'

/** Beside the repository, with the other material that the project was given. */
const folder = join(import.meta.dirname, '../../../../shared/linearizability')
const absent = existsSync(join(folder, 'verdicts.json'))
  ? false
  : `THE RECORDED HISTORIES ARE MISSING: ${folder} is not there, the checker is NOT compared with known verdicts`

test('every verdict of the recorded histories', { skip: absent }, async (t) => {
  const verdicts = JSON.parse(readFileSync(join(folder, 'verdicts.json'), 'utf8')) as Record<
    string,
    boolean
  >
  t.ok(Object.keys(verdicts).length > 0, 'there are histories')
  for (const [name, expected] of Object.entries(verdicts)) {
    const history = parseJepsenLog(readFileSync(join(folder, 'jepsen-etcd', name), 'utf8'))
    const verdict = checkLinearizable(registerModel, history)
    const found = `${name}: ${history.length} calls, ${verdict.steps} steps`
    t.equal(verdict.result, expected ? 'linearizable' : 'illegal', found)
    if (!expected) t.match(explain(registerModel, verdict), /none of these can follow/)
  }
})

test('lines of every kind', async (t) => {
  const history = parseJepsenLog(
    [
      'INFO  jepsen.util - 0\t:invoke\t:write\t3',
      'INFO  jepsen.util - 1   :invoke :cas    [3 4]',
      'INFO  jepsen.util - 0\t:ok\t:write\t3',
      'INFO  jepsen.util - 1   :info   :cas    :timed-out',
      'INFO  jepsen.util - 0\t:invoke\t:read\tnil',
      'INFO  jepsen.util - 0\t:ok\t:read\t4',
      'INFO  jepsen.util - 0\t:invoke\t:read\tnil',
      'INFO  jepsen.util - 0\t:fail\t:read\t:timed-out',
      'INFO  jepsen.util - 0\t:invoke\t:cas\t[3 1]',
      'INFO  jepsen.util - 0\t:fail\t:cas\t[3 1]',
      '',
    ].join('\n'),
  )
  t.match(
    history.map(({ process, input, output }) => ({ process, input, output })),
    [
      { process: '0', input: { kind: 'write', value: 3 }, output: {} },
      { process: '1', input: { kind: 'cas', expected: 3, value: 4 }, output: undefined },
      { process: '0', input: { kind: 'read' }, output: { value: 4 } },
      { process: '0', input: { kind: 'cas', expected: 3, value: 1 }, output: { swapped: false } },
    ],
  )
  t.equal(history[1]?.return, Number.POSITIVE_INFINITY)
  t.equal(checkLinearizable(registerModel, history).result, 'linearizable')
})

test('what is no such log is refused by its line', async (t) => {
  const invoke = 'INFO  jepsen.util - 0\t:invoke\t:write\t3\n'
  for (const [text, line] of [
    ['something else', 1],
    [`${invoke}INFO  jepsen.util - 0\t:ok\t:read\t3`, 2],
    ['INFO  jepsen.util - 0\t:ok\t:read\t3', 1],
    [`${invoke}${invoke}`, 2],
    ['INFO  jepsen.util - 0\t:invoke\t:cas\t3', 1],
    ['INFO  jepsen.util - 0\t:invoke\t:write\tx', 1],
  ] as const)
    t.throws(() => parseJepsenLog(text), new RegExp(`^line ${line}: `))
})
