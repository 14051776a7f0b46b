/** Agents that meet, with regions that are lists of members and messages that take their time. */
import { type AgentAction, type AgentEvent, RegionAgent } from '../../../src/region/region-agent.ts'
import type { RegionFacts } from '../../../src/region/region-facts.ts'
import { seededRandom } from './seeded-random.ts'

/** One region: who has which member id. */
interface WorldRegion {
  readonly foundedAtMs: number
  nextId: number
  readonly members: Set<string>
}

/** A message or the end of an action, on its way. */
interface Due {
  readonly atMs: number
  readonly happen: () => void
}

/** The world. */
export class AgentWorld {
  readonly #random: () => number
  readonly #agents = new Map<string, RegionAgent>()
  readonly #regions = new Map<string, WorldRegion>()
  readonly #links = new Set<string>()
  #due: Due[] = []
  #atMs = 0

  constructor(count: number, seed: number) {
    this.#random = seededRandom(seed)
    for (let nth = 0; nth < count; nth++)
      this.#agents.set(`peer-${nth}`, new RegionAgent(`peer-${nth}`, 'default'))
  }

  /** Some links are there, peers start, time passes. */
  runApart(): void {
    const peerIds = [...this.#agents.keys()]
    for (const peerId of peerIds) {
      const expectsPeers = this.#random() < 0.4
      this.#later(() => this.#take(peerId, { type: 'start', facts: undefined, expectsPeers }))
      const other = peerIds[Math.floor(this.#random() * peerIds.length)] as string
      if (this.#random() < 0.3 && other !== peerId) this.#later(() => this.#connect(peerId, other))
    }
    this.#run(20_000)
  }

  /** Everybody meets everybody, in any order. */
  runTogether(): void {
    const peerIds = [...this.#agents.keys()]
    for (const a of peerIds)
      for (const b of peerIds) if (a < b) this.#later(() => this.#connect(a, b))
    this.#run(200_000)
  }

  regions(): ReadonlyMap<string, WorldRegion> {
    return new Map([...this.#regions].filter(([, { members }]) => members.size > 0))
  }

  /** Everybody is in a region, and where there are several, none is of one member and all know of the others. */
  isSettled(): boolean {
    const agents = [...this.#agents.values()]
    if (!agents.every(({ status }) => status.phase === 'member')) return false
    const regions = [...this.regions().values()]
    if (regions.length === 1) return true
    if (regions.some(({ members }) => members.size === 1)) return false
    return agents.every(({ status }) => status.conflicts.length === regions.length - 1)
  }

  describe(): string {
    const regions = [...this.regions()].map(([id, { members }]) => `${id}: ${[...members]}`)
    const agents = [...this.#agents].map(
      ([peerId, { status }]) => `${peerId} ${status.phase} ${status.conflicts.length}`,
    )
    return [...regions, ...agents].join('; ')
  }

  #run(ms: number): void {
    const endMs = this.#atMs + ms
    while (this.#atMs < endMs) {
      this.#atMs += 100
      for (;;) {
        const next = this.#due.filter(({ atMs }) => atMs <= this.#atMs)
        if (next.length === 0) break
        this.#due = this.#due.filter((due) => !next.includes(due))
        for (const { happen } of next.sort((a, b) => a.atMs - b.atMs)) happen()
      }
      if (this.#atMs % 500 === 0) for (const peerId of this.#agents.keys()) this.#second(peerId)
    }
  }

  #second(peerId: string): void {
    const facts = this.#agent(peerId).status.facts
    const region = facts === undefined ? undefined : this.#regions.get(facts.regionId)
    if (region !== undefined)
      this.#take(peerId, { type: 'standing', memberCount: region.members.size, hasQuorum: true })
    this.#take(peerId, { type: 'tick' })
  }

  #connect(a: string, b: string): void {
    this.#links.add(`${a} ${b}`).add(`${b} ${a}`)
    this.#take(a, { type: 'link', peerId: b, isUp: true })
    this.#take(b, { type: 'link', peerId: a, isUp: true })
  }

  #take(peerId: string, event: AgentEvent): void {
    for (const action of this.#agent(peerId).step(event, this.#atMs)) this.#do(peerId, action)
  }

  #do(peerId: string, action: AgentAction): void {
    if (action.type === 'greet') this.#greet(peerId, action.peerId)
    else if (action.type === 'found') this.#found(peerId)
    else if (action.type === 'ask') this.#ask(peerId, action.peerId, action.regionId)
    else if (action.type === 'move') this.#move(peerId, action.from, action.to)
    else throw new Error(`an agent that was never expelled asks for ${action.type}`)
  }

  #greet(from: string, to: string): void {
    if (!this.#links.has(`${from} ${to}`)) return
    this.#later(() => {
      const asked = this.#agent(from).hello
      const answer = this.#agent(to).hello
      this.#take(to, { type: 'hello', peerId: from, hello: asked })
      this.#later(() => this.#take(from, { type: 'hello', peerId: to, hello: answer }))
    })
  }

  #found(peerId: string): void {
    this.#later(() => {
      const regionId = Array.from({ length: 32 }, () =>
        Math.floor(this.#random() * 16).toString(16),
      ).join('')
      const foundedAtMs = Math.round(this.#atMs)
      this.#regions.set(regionId, { foundedAtMs, nextId: 2, members: new Set([peerId]) })
      this.#entered(peerId, { ...this.#facts(regionId, foundedAtMs, 1) })
    })
  }

  #ask(from: string, to: string, regionId: string): void {
    if (!this.#links.has(`${from} ${to}`)) {
      this.#later(() => this.#take(from, { type: 'refused', reason: 'unreachable' }))
      return
    }
    this.#later(() => {
      const agent = this.#agent(to)
      const region = this.#regions.get(regionId)
      const isThere = agent.status.facts?.regionId === regionId && region !== undefined
      if (!isThere || !agent.mayAdmit) {
        const reason = isThere ? 'busy' : 'not-here'
        this.#later(() => this.#take(from, { type: 'refused', reason }))
        return
      }
      this.#take(to, { type: 'admitting', isDone: false })
      this.#later(() => {
        region.members.add(from)
        this.#take(to, { type: 'standing', memberCount: region.members.size, hasQuorum: true })
        this.#take(to, { type: 'admitting', isDone: true })
        const facts = this.#facts(regionId, region.foundedAtMs, region.nextId++)
        this.#later(() => this.#take(from, { type: 'admitted', facts }))
      })
    })
  }

  #move(peerId: string, from: RegionFacts | undefined, to: RegionFacts): void {
    this.#later(() => {
      if (from !== undefined) {
        const left = this.#regions.get(from.regionId)
        if (left?.members.size !== 1) throw new Error('only a lone member moves by itself')
        left.members.clear()
      }
      this.#entered(peerId, to)
    })
  }

  #entered(peerId: string, facts: RegionFacts): void {
    this.#take(peerId, { type: 'entered', facts })
  }

  #facts(regionId: string, foundedAtMs: number, memberId: number): RegionFacts {
    return { regionId, foundedAtMs, memberId, name: 'default', incarnation: 1, contacts: [] }
  }

  #agent(peerId: string): RegionAgent {
    const agent = this.#agents.get(peerId)
    if (agent === undefined) throw new Error(`no peer is named ${peerId}`)
    return agent
  }

  #later(happen: () => void): void {
    this.#due.push({ atMs: this.#atMs + this.#random() * 400, happen })
  }
}
