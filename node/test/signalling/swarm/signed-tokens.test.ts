/** Sessions and tickets: made by the secret and nothing else; and the secret itself. */
import { createHmac } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { protocolLimits } from '@kairo/client/protocol'
import fc from 'fast-check'
import { test } from 'tap'
import { SignedTokens } from '../../../src/signalling/swarm/signed-tokens.ts'
import { loadSwarmSecret } from '../../../src/signalling/swarm/swarm-secret.ts'
import { fuzzRuns } from '../../support/fuzz.ts'

/** As the operator of a page makes one. */
function ticket(payload: object | string, secret = 'secret'): string {
  const json = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const text = `v1.${Buffer.from(json).toString('base64url')}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

test('tickets', async (t) => {
  const tokens = new SignedTokens('secret')
  const nowMs = 1_700_000_000_000
  const admits = (text: string | undefined): boolean => tokens.admits(text, 'a film', nowMs)
  t.ok(admits(ticket({ swarm: 'a film', exp: 1_700_000_001 })))
  t.notOk(admits(ticket({ swarm: 'a film', exp: 1_700_000_000 })), 'over')
  t.notOk(admits(ticket({ swarm: 'another', exp: 1_800_000_000 })))
  t.notOk(admits(ticket({ swarm: 'a film', exp: 1_800_000_000 }, 'other')))
  t.notOk(admits(ticket({ swarm: 'a film', exp: '1_800_000_000' })))
  t.notOk(admits(ticket('no JSON')))
  t.notOk(admits(undefined))
  t.notOk(admits(tokens.session('a', 'a film')), 'a session is none')
})

test('sessions', async (t) => {
  const tokens = new SignedTokens('secret')
  const session = tokens.session('a', 'é')
  t.equal(tokens.readSession(session, 'é'), 'a')
  t.equal(new SignedTokens('secret').readSession(session, 'é'), 'a', 'after a restart, too')
  t.equal(tokens.readSession(session, 'e'), undefined)
  t.equal(new SignedTokens('other').readSession(session, 'é'), undefined)
  t.equal(tokens.readSession(ticket({ id: 'a', tag: 'é' }), 'é'), undefined, 'a ticket is none')
  const long = tokens.session('a'.repeat(16), '\uffff'.repeat(protocolLimits.swarmCharsMax))
  t.ok(long.length <= protocolLimits.sessionCharsMax)
  const change = fc.record({ at: fc.nat(session.length - 1), letter: fc.constantFrom(...'aB0_-.') })
  const property = fc.property(change, ({ at, letter }) => {
    const changed = session.slice(0, at) + letter + session.slice(at + 1)
    const read = tokens.readSession(changed, 'é')
    // The last letter of a base64url text may have spare bits.
    return changed === session || at === session.length - 1 || read === undefined
  })
  fc.assert(property, { numRuns: fuzzRuns(200) })
  fc.assert(
    fc.property(fc.string(), (text) => tokens.readSession(text, 'é') === undefined),
    { numRuns: fuzzRuns(200) },
  )
})

test('the secret is made once, and for its owner', async (t) => {
  const path = join(t.testdir({}), 'swarm.secret')
  const secret = await loadSwarmSecret(path)
  t.match(secret, /^[\w-]{43}$/)
  t.equal(await loadSwarmSecret(path), secret)
  t.equal(readFileSync(path, 'utf8').trim(), secret)
  if (process.platform !== 'win32') t.equal(statSync(path).mode & 0o777, 0o600)
  writeFileSync(path, 'short')
  await t.rejects(loadSwarmSecret(path), { code: 'ERR_CONFIG' })
  await t.rejects(loadSwarmSecret(join(path, 'nowhere')), { code: 'ERR_STORAGE' })
})
