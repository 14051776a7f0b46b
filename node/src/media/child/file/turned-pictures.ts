/** Turns decoded pictures as their container asks for, before anything else is done with them. */
import { Frame } from 'node-av/lib'
import { FilterChain, type FilterStep } from '../av/filter-chain.ts'
import { pictureSource } from '../av/frame-source.ts'

const steps: Readonly<Record<number, readonly FilterStep[]>> = {
  90: [['transpose', 'dir=clock']],
  180: [
    ['hflip', ''],
    ['vflip', ''],
  ],
  270: [['transpose', 'dir=cclock']],
}

/** Passes pictures on, turned. */
export class TurnedPictures {
  readonly #rotation: number
  readonly #scratch = new Frame()
  readonly #out = new Frame()
  #chain: FilterChain | undefined
  #shape = ''

  /** `rotation`: degrees clockwise; 0 passes pictures on as they are. */
  constructor(rotation: number) {
    this.#rotation = rotation
    this.#scratch.alloc()
    this.#out.alloc()
  }

  /** Hands the turned picture on; both stay their owners'. */
  push(picture: Frame, onPicture: (picture: Frame) => void): void {
    const row = steps[this.#rotation]
    if (row === undefined) {
      onPicture(picture)
      return
    }
    const source = pictureSource(picture)
    if (this.#chain === undefined || source[1] !== this.#shape) {
      this.#chain?.free()
      this.#shape = source[1]
      this.#chain = new FilterChain(source, row, 1)
    }
    this.#scratch.ref(picture)
    this.#chain.push(this.#scratch, this.#out, onPicture)
  }

  close(): void {
    this.#chain?.free()
    this.#scratch.free()
    this.#out.free()
  }
}
