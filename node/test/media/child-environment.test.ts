// What children that read strangers' media know of their peer's environment.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'tap'
import { childEnvironment } from '../../src/media/child-environment.ts'

test('secrets and settings stay behind', async (t) => {
  const secrets = {
    ...{ KAIRO_SRT_PASSPHRASE: 'a', KAIRO_WEBHOOK_SECRET: 'b', JWT_SECRET: 'c' },
    ...{ DATABASE_URL: 'd', REDIS_URL: 'e', AWS_SECRET_ACCESS_KEY: 'f', GITHUB_TOKEN: 'g' },
  }
  const plain = { PATH: '/bin', Path: 'C:\\', LIBVA_DRIVER_NAME: 'iHD', LC_ALL: 'C', NODE_ENV: 'x' }
  t.same(childEnvironment({ ...secrets, ...plain }), plain)
})

test('a child runs with what is left', async (t) => {
  process.env.KAIRO_WEBHOOK_SECRET = 'a secret'
  t.teardown(() => delete process.env.KAIRO_WEBHOOK_SECRET)
  const path = t.testdir({ 'child.js': 'process.send(process.env); process.disconnect()' })
  const child = fork(`${path}/child.js`, { execArgv: [], env: childEnvironment() })
  const [environment] = (await once(child, 'message')) as [NodeJS.ProcessEnv]
  t.equal(environment.KAIRO_WEBHOOK_SECRET, undefined)
  t.ok(environment.PATH)
})
