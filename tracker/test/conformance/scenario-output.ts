/** What an interaction scenario prints: its own lines and the members' log, by level. */
import type { RaftLogger } from '../../src/raft/types.ts'

const levels = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE']

/** What a directive reports in its output instead of failing the run. */
export class Reported extends Error {}

/** The output of one directive at a time. */
export class ScenarioOutput implements RaftLogger {
  #text = ''
  #level = 0

  /** At the highest level nothing is printed at all. */
  get quiet(): boolean {
    return this.#level === levels.length - 1
  }

  /** Takes what was printed since. */
  take(): string {
    const text = this.#text
    this.#text = ''
    return text
  }

  write(text: string): void {
    if (!this.quiet) this.#text += text
  }

  writeLine(text: string): void {
    this.write(`${text}\n`)
  }

  /** What is printed meanwhile stands two spaces further in. */
  indented(run: () => void): void {
    const before = this.take()
    try {
      run()
    } finally {
      const lines = this.take().split('\n')
      if (lines.at(-1) === '') lines.pop()
      this.#text = before + lines.map((line) => `  ${line}\n`).join('')
    }
  }

  /** Runs something at another level. */
  atLevel(name: string, run: () => void): void {
    const before = this.#level
    this.setLevel(name)
    try {
      run()
    } finally {
      this.#level = before
    }
  }

  setLevel(name: string): void {
    const level = levels.indexOf(name.toUpperCase())
    if (level === -1) throw new Reported(`log levels must be either of [${levels.join(' ')}]`)
    this.#level = level
  }

  debug(message: string): void {
    this.#log(0, message)
  }

  info(message: string): void {
    this.#log(1, message)
  }

  warn(message: string): void {
    this.#log(2, message)
  }

  error(message: string): void {
    this.#log(3, message)
  }

  #log(level: number, message: string): void {
    if (level >= this.#level) this.writeLine(`${levels[level]} ${message}`)
  }
}
