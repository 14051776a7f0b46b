/** The notice at the top of the admin page: what went wrong, until the same goes well. */

import { h, setText } from '../shared/dom.ts'
import { icon } from '../shared/icon.ts'

/** The notice, out of sight while nothing is wrong. */
export interface FailureNotice {
  readonly element: HTMLElement
  /** Something of `source` (a poll, or whatever was asked for by hand) failed. */
  fail(source: object, error: unknown): void
  /** The next of the same source went well. */
  well(source: object): void
}

/** Creates the notice; of several failures the newest is told. */
export function createFailureNotice(): FailureNotice {
  const failures = new Map<object, string>()
  const text = h('span')
  const element = h('p', { class: 'notice notice-fail', role: 'alert', hidden: true })
  element.append(icon('alert'), text)
  const show = () => {
    const newest = [...failures.values()].at(-1)
    setText(text, newest ?? '')
    element.hidden = newest === undefined
  }
  return {
    element,
    fail: (source, error) => {
      failures.delete(source)
      failures.set(source, error instanceof Error ? error.message : String(error))
      show()
    },
    well: (source) => {
      if (failures.delete(source)) show()
    },
  }
}
