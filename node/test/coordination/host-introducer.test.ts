/** Introductions of trackers over hosts: who is asked, what an answer may be, and how long one is waited for. */
import type { LineInvitation } from '@kairo/tracker'
import fc from 'fast-check'
import { type Test, t, test } from 'tap'
import { HostIntroducer } from '../../src/coordination/host-introducer.ts'
import { LINE_PROTOCOL } from '../../src/host/protocols.ts'
import { introductionLimits } from '../../src/limits/coordination.ts'
import { startHost } from '../support/hosts.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { MemoryNet } from '../support/memory-transport.ts'

t.setTimeout(60_000)

const invitation: LineInvitation = {
  port: 40_001,
  name: Buffer.alloc(16, 0xfe).toString('base64url'),
  secret: Uint8Array.from({ length: 32 }, (_, index) => index),
}

test('whoever reached the other one is told where it listens, and nobody else', async (t) => {
  const clock = new ManualClock()
  const there = await startHost(t)
  const here = await startHost(t, { join: [there] })
  const introducers = [there, here].map(
    (host) => new HostIntroducer({ clock, host }, { port: 4_711 }),
  )
  const [ofThere, ofHere] = introducers as [HostIntroducer, HostIntroducer]
  const asked: string[] = []
  for (const introducer of introducers) {
    await introducer.begin()
    t.same(introducer.listen, { host: '127.0.0.1', port: 4_711 })
  }
  t.equal(await ofHere.ask(there.peerId), undefined, 'before the tracker there is up')
  ofThere.answer(async (peerId) => {
    asked.push(peerId)
    return invitation
  })
  t.same(await ofHere.ask(there.peerId), { host: '127.0.0.1', ...invitation })
  t.same(asked, [here.peerId], 'by the id that the connection proves')
  t.equal(await ofThere.ask(here.peerId), undefined, 'it was reached, and did not reach')
  ofThere.answer(async () => undefined)
  t.equal(await ofHere.ask(there.peerId), undefined)
})

test('a host that only dials listens nowhere', async (t) => {
  const clock = new ManualClock()
  const host = await startHost(t, { listen: [] })
  t.equal(new HostIntroducer({ clock, host }, { port: 0 }).listen, undefined)
})

/** One side whose neighbour answers with these bytes; nothing: it never answers. */
async function answeredWith(t: Test, clock: ManualClock, answer: Uint8Array | undefined) {
  const net = new MemoryNet({ clock })
  await net.peer('b').handle(LINE_PROTOCOL, async (stream) => {
    if (answer === undefined) await new Promise(() => {})
    else await stream.write(answer)
  })
  const host = {
    ...net.peer('a'),
    ...{ dialledHost: () => '192.0.2.1', listenHost: () => undefined },
  }
  t.teardown(() => settle())
  return new HostIntroducer({ clock, host }, { port: 0 }).ask('b')
}

test('an answer that nobody writes is no invitation', async (t) => {
  const clock = new ManualClock()
  const whole = Buffer.concat([
    Uint8Array.of(1, 0x9c, 0x41),
    Buffer.alloc(16, 0xfe),
    invitation.secret,
  ])
  t.same(await answeredWith(t, clock, whole), { host: '192.0.2.1', ...invitation })
  t.equal(await answeredWith(t, clock, Uint8Array.of(1)), undefined)
  const noPort = Buffer.from(whole).fill(0, 1, 3)
  const cases = [[], [2], [1, 2], whole.subarray(1), whole.subarray(0, 50), [...whole, 1], noPort]
  for (const bytes of cases) {
    await t.rejects(answeredWith(t, clock, Uint8Array.from(bytes)), { code: 'ERR_PROTOCOL' })
  }
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), async (bytes) => {
      const told = await answeredWith(t, clock, bytes).catch(
        (error: { code: string }) => error.code,
      )
      const isNone = told === undefined && bytes.length === 1 && bytes[0] === 1
      t.ok(isNone || told === 'ERR_PROTOCOL' || bytes.length === whole.length)
    }),
    { numRuns: 200 },
  )
})

test('who does not answer is not waited for long', async (t) => {
  const clock = new ManualClock()
  const asked = answeredWith(t, clock, undefined)
  const told = t.rejects(asked, { code: 'ERR_TIMEOUT' })
  await settle()
  await clock.pass(introductionLimits.askMsMax)
  await told
})
