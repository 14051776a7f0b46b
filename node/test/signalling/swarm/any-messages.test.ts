/** Pages that say anything in any order: nothing throws, connections are mutual, nobody is named who is not there, and nothing is left when all are gone. */
import fc from 'fast-check'
import { test } from 'tap'
import { fuzzRuns } from '../../support/fuzz.ts'
import { type ScriptedPage, ScriptedSwarm } from '../../support/swarm-pages.ts'

const key = fc.constantFrom('v/1', 'v/2', 'v/2.1', 'w/1')
const who = fc.nat(7)
const step = fc.oneof(
  fc.record({ do: fc.constant('enter' as const), canConnect: fc.boolean(), uploadBps: fc.nat(1) }),
  fc.record({ do: fc.constant('leave' as const), who, mayReturn: fc.boolean() }),
  fc.record({ do: fc.constant('return' as const), who }),
  fc.record({ do: fc.constant('time' as const), ms: fc.oneof(fc.nat(100), fc.nat(20_000)) }),
  fc.record({ do: fc.constant('want' as const), who, key, withinMs: fc.nat(20_000) }),
  fc.record({ do: fc.constant('got' as const), who, key, text: fc.constantFrom('', '', 'bad') }),
  fc.record({ do: fc.constant('failed' as const), who, key }),
  fc.record({ do: fc.constant('describe' as const), who, key }),
  fc.record({ do: fc.constant('state' as const), who, key, uploadBps: fc.nat(1) }),
  fc.record({
    do: fc.constant('follow' as const),
    who,
    rendition: fc.constantFrom('v', 'w', undefined),
  }),
  fc.record({ do: fc.constant('report' as const), who, whom: who, key }),
  fc.record({ do: fc.constant('signal' as const), who, whom: who }),
)

type AnyStep = typeof step extends fc.Arbitrary<infer Step> ? Step : never

class Stage {
  readonly swarm = new ScriptedSwarm()
  readonly all: ScriptedPage[] = []
  readonly here = new Set<ScriptedPage>()

  enter(page: ScriptedPage): void {
    this.all.push(page)
    this.here.add(page)
  }

  at(number: number): ScriptedPage | undefined {
    return this.all[number % this.all.length]
  }

  /** Those that were put out are here no more. */
  present(number: number): ScriptedPage | undefined {
    const page = this.at(number)
    const isIn = page !== undefined && this.here.has(page) && page.entry.page.line === page
    return isIn ? page : undefined
  }

  take(what: AnyStep): void {
    if (what.do === 'enter') this.enter(this.swarm.enter(what))
    else if (what.do === 'time') {
      this.swarm.clock.advance(what.ms)
      this.swarm.swarms.sweep()
    } else if (what.do === 'return') {
      const page = this.at(what.who)
      if (page !== undefined) this.enter(this.swarm.enter({ session: page.entry.session }))
    } else this.#say(what)
  }

  #say(what: Exclude<AnyStep, { do: 'enter' | 'time' | 'return' }>): void {
    const page = this.present(what.who)
    if (page === undefined) return
    if (what.do === 'leave') {
      this.here.delete(page)
      page.leave(what.mayReturn)
    } else if (what.do === 'want') page.want(what.key, what.withinMs)
    else if (what.do === 'got') page.got(what.key, what.key + what.text)
    else if (what.do === 'failed') page.say({ kind: 'failed', key: what.key })
    else if (what.do === 'describe') page.say({ kind: 'describe', keys: [what.key] })
    else if (what.do === 'state') {
      page.state({ held: [{ key: what.key, count: 1 }], uploadBps: what.uploadBps })
    } else if (what.do === 'follow') {
      const { rendition } = what
      page.say({ kind: 'follow', ...(rendition !== undefined && { rendition, partMs: 200 }) })
    } else this.#between(page, what.do, this.at(what.whom)?.id ?? page.id)
  }

  #between(page: ScriptedPage, what: 'report' | 'signal', id: string): void {
    if (what === 'report') page.say({ kind: 'report', peer: id, reason: 'bytes', key: 'v/1' })
    else page.say({ kind: 'signal', to: id, step: { type: 'candidate', text: '' } })
  }

  check(): void {
    for (const page of this.all) {
      const { swarm } = page.entry
      for (const message of page.heard.splice(0)) {
        if (message.kind === 'from' && message.peers.includes(page.id)) throw new Error('itself')
        if (message.kind === 'peers' && message.connect.includes(page.id)) throw new Error('itself')
      }
      if (swarm.find(page.id) !== page.entry.page) continue
      for (const [id, link] of page.entry.page.links) {
        if (swarm.find(id)?.links.get(page.id) !== link) throw new Error('a half connection')
      }
    }
  }
}

test('any messages in any order', async () => {
  const property = fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
    const stage = new Stage()
    for (let count = 0; count < 4; count += 1) stage.enter(stage.swarm.enter())
    for (const what of steps) {
      stage.take(what)
      stage.check()
    }
    for (const page of stage.all) page.leave()
    stage.swarm.clock.advance(120_000)
    stage.swarm.swarms.sweep()
    const { pages, followers, leases, parts } = stage.swarm.swarms.load()
    const left = [
      pages,
      followers,
      leases,
      parts,
      stage.swarm.clock.timers,
      stage.swarm.swarms.size,
    ]
    if (left.some((count) => count !== 0)) throw new Error(`left: ${left}`)
  })
  fc.assert(property, { numRuns: fuzzRuns(150) })
})
