/** A titled part of the admin page. */

import { type Child, h } from '../shared/dom.ts'

let count = 0

/** Creates a section with a heading, an optional line beside it, and its contents. */
export function section(title: string, aside: Child, ...children: readonly Child[]): HTMLElement {
  const id = `section-${++count}`
  return h(
    'section',
    { class: 'block', 'aria-labelledby': id },
    h('div', { class: 'block-head' }, h('h2', { id }, title), aside),
    ...children,
  )
}

/** A line that stands where a list is empty. */
export function emptyLine(text: string): HTMLElement {
  return h('p', { class: 'empty-line' }, text)
}
