/** The line beside a control that says why what it asked for was refused. */

import { h, setText } from '../shared/dom.ts'

/** The line, out of sight while there is nothing to say. */
export interface ProblemLine {
  readonly element: HTMLElement
  /** Shows a refusal; undefined takes it back. */
  show(text?: string): void
}

/** Creates the line; screen readers say what it shows at once. */
export function createProblemLine(): ProblemLine {
  const element = h('p', { class: 'row-problem', role: 'alert', hidden: true })
  return {
    element,
    show: (text = '') => {
      setText(element, text)
      element.hidden = text === ''
    },
  }
}
