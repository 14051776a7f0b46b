/** A client that watches all changes at whatever member it finds, and goes on elsewhere: it misses nothing and is told nothing twice. */
import type { WatchBatch, WatchEvent } from '../../../src/coordination.ts'
import { TrackerError } from '../../../src/errors.ts'
import type { Watch } from '../../../src/state/watches.ts'
import type { Draw } from '../simulated-folder.ts'
import { keyspace } from './chronicle.ts'
import type { Life } from './simulated-member.ts'
import { promise } from './violation.ts'
import type { World } from './world.ts'

/** One watcher. */
export class Watcher {
  readonly #world: World
  readonly #draw: Draw
  /** How many of the changes it was told, or knows to have missed. */
  #position = 0
  #revision = 0
  #life: Life | undefined
  #watch: Watch | undefined

  constructor(world: World, number: number) {
    this.#world = world
    this.#draw = world.fork(400 + number)
    world.onEnded((_, life) => {
      if (life === this.#life) this.#forget()
    })
  }

  /** Watches here and there until the run ends. */
  async run(): Promise<void> {
    while (!this.#world.isEnding) {
      this.#goOn()
      await this.#world.sleep(50 + this.#draw(400))
      // Now and then it was slow, or moves on.
      if (this.#draw(8) === 0) this.#forget()
      else this.#watch?.resume()
    }
    this.#forget()
  }

  #goOn(): void {
    if (this.#watch !== undefined) return
    const { present } = this.#world
    const life = present[this.#draw(present.length)]?.running
    if (life === undefined) return
    this.#life = life
    const listener = {
      onBatch: (batch: WatchBatch) => this.#told(batch),
      onEnd: () => {
        this.#forget()
        this.#skip(life)
      },
    }
    try {
      this.#watch = life.state.state.watch(keyspace, '', this.#revision, listener)
      this.#watch.resume()
    } catch (error) {
      if (!(error instanceof TrackerError) || error.code !== 'ERR_COMPACTED') throw error
      this.#skip(life)
    }
  }

  #told(batch: WatchBatch): boolean {
    this.#world.attempt(() => {
      const expected = this.#world.chronicle.changes[this.#position]
      promise(
        expected !== undefined && text(expected) === text(batch),
        () => `watches: told ${text(batch)}, not ${expected && text(expected)}`,
      )
    })
    this.#position += 1
    this.#revision = batch.revision
    this.#world.counts.watched += 1
    return this.#draw(10) > 0
  }

  /** What it would go on from is forgotten: it reads all, and goes on from there. */
  #skip(life: Life): void {
    this.#revision = Math.max(this.#revision, life.state.state.revision)
    const { changes } = this.#world.chronicle
    while ((changes[this.#position]?.revision ?? Number.POSITIVE_INFINITY) <= this.#revision)
      this.#position += 1
  }

  #forget(): void {
    this.#watch?.close()
    this.#watch = undefined
    this.#life = undefined
  }
}

function text({ revision, events }: WatchBatch): string {
  return `${revision}: ${events.map(eventText).join(' ')}`
}

function eventText(event: WatchEvent): string {
  return event.type === 'put' ? `+${event.item.key}@${event.item.modRevision}` : `-${event.key}`
}
