/** {@link Swarms} of the tracker's thread. */
import type { CallOptions } from '../coordination.ts'
import { TrackerError } from '../errors.ts'
import { softClientLimits } from '../soft/soft-limits.ts'
import type { SoftNews, SoftTotals, StreamQuestion, StreamReply, Swarms } from '../soft/swarms.ts'
import type { PortCalls } from './port-calls.ts'
import type { PortMessage } from './port-messages.ts'

/** The soft state over a port. */
export class ThreadSwarms implements Swarms {
  readonly #post: (message: PortMessage) => void
  readonly #calls: () => PortCalls

  /**
   * @param post to the thread; what is told while there is none goes nowhere
   * @param calls to the thread; throws while there is none
   */
  constructor(post: (message: PortMessage) => void, calls: () => PortCalls) {
    this.#post = post
    this.#calls = calls
  }

  tell(news: SoftNews): void {
    if (news.held.length + news.gone.length > softClientLimits.newsMax) {
      const message = `news of at most ${softClientLimits.newsMax} subjects at once`
      throw new TrackerError('ERR_INVALID_INPUT', message)
    }
    this.#post({ type: 'swarms', news })
  }

  async ask(
    questions: readonly StreamQuestion[],
    { signal, ...options }: CallOptions = {},
  ): Promise<StreamReply[]> {
    return (await this.#calls().call('ask', [questions, options], signal)) as StreamReply[]
  }

  async totals({ signal, ...options }: CallOptions = {}): Promise<SoftTotals> {
    return (await this.#calls().call('totals', [options], signal)) as SoftTotals
  }
}
