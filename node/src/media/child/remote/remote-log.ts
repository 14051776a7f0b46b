/**
 * What FFmpeg says about a remote end, kept for the reason of a failure and never printed: its lines hold whole addresses, and
 * addresses hold keys and passwords.
 */
import { AV_LOG_ERROR } from 'node-av/constants'
import { Log } from 'node-av/lib'
import { redact, secretsOf } from './redaction.ts'

/** Lines kept; the last ones say what went wrong. */
const LINES_MAX = 4
/** Characters of one line. */
const LINE_CHARS_MAX = 200

/** Takes FFmpeg's errors from its creation on; a child has one. */
export class RemoteLog {
  readonly #secrets: readonly string[]
  #lines: string[] = []

  /** @param url the address whose path, query and credentials are taken out of every line. */
  constructor(url: string) {
    this.#secrets = secretsOf(url)
    Log.setLevel(AV_LOG_ERROR)
    Log.setCallback((_level, message) => this.#take(message), { maxLevel: AV_LOG_ERROR })
  }

  /** The last lines, without secrets; empty when nothing was said. */
  get text(): string {
    return this.#lines.join('; ')
  }

  #take(message: string): void {
    const line = redact(message.trim(), this.#secrets).slice(0, LINE_CHARS_MAX)
    if (line === '' || line === this.#lines.at(-1)) return
    this.#lines = [...this.#lines, line].slice(-LINES_MAX)
  }
}
