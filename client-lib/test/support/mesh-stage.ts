/** Meshes over connections in memory, each with what it has told. */
import { PartMemory } from '../../src/memory/part-memory.ts'
import { Mesh, type MeshEvents, type MeshInit } from '../../src/mesh/mesh.ts'
import type { Step } from '../../src/protocol/edge-messages.ts'
import { TestNetwork } from './connection-network.ts'
import { ManualClock, settle } from './manual-clock.ts'

/** A page with what its mesh has told. */
export class TestPage {
  readonly told: unknown[][] = []
  readonly memory = new PartMemory({ bytesMax: 50_000_000, onEvicted: () => {} })
  readonly mesh: Mesh
  /** What the edge does with a step. */
  onStep: (to: string, step: Step) => void

  constructor(stage: TestStage, id: string, init: Partial<MeshInit>) {
    this.onStep = (to, step) => stage.pages.get(to)?.mesh.takeStep(id, step)
    const tell =
      (name: string) =>
      (...values: unknown[]): void => {
        this.told.push([name, ...values])
      }
    const events: MeshEvents = {
      onUp: tell('up'),
      onDown: tell('down'),
      onRtt: tell('rtt'),
      onHave: tell('have'),
      onLost: tell('lost'),
      onPush: tell('push'),
      onEnd: tell('end'),
      onLength: (_peer, key, bytes) => this.memory.setBytes(key, bytes),
      onChunk: (peer, key, offset, bytes) => this.memory.write(key, offset, bytes, peer),
      onStep: (to, step) => this.onStep(to, step),
    }
    this.mesh = new Mesh(
      {
        ...{ clock: stage.clock, random: () => 0, memory: this.memory },
        createConnection: stage.network.createConnection,
      },
      { iceServers: [], uploadBps: 100_000_000, events, ...init },
    )
  }

  /** What was told of this name. */
  all(name: string): unknown[][] {
    return this.told.filter(([told]) => told === name).map(([, ...values]) => values)
  }
}

export class TestStage {
  readonly clock = new ManualClock()
  readonly network = new TestNetwork()
  readonly pages = new Map<string, TestPage>()

  add(id: string, init: Partial<MeshInit> = {}): TestPage {
    const page = new TestPage(this, id, init)
    this.pages.set(id, page)
    return page
  }

  /** `a` and `b`, which are connected. */
  async two(init: Partial<MeshInit> = {}): Promise<[TestPage, TestPage]> {
    const pages: [TestPage, TestPage] = [this.add('a', init), this.add('b', init)]
    pages[0].mesh.connect(['b'])
    await calm()
    return pages
  }
}

/** Lets everything happen that takes no time. */
export async function calm(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await settle()
}
