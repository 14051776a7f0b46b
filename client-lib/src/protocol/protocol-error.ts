/** What readers throw for anything that a correct sender would not send. */
import { KairoError } from '../errors.ts'

/** The sender is broken or hostile; the message says in a few words what was wrong, never what was in it. */
export class ProtocolError extends KairoError {
  override readonly name: string = 'ProtocolError'

  constructor(message: string) {
    super('ERR_PROTOCOL', message)
  }
}
