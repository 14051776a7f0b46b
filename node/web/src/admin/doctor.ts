/** The doctor's checks: what is wrong with this peer and what to do. */

import type { Check } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { count } from '../shared/format.ts'
import { section } from './section.ts'

const words: Readonly<Record<Check['status'], string>> = {
  ok: 'In order',
  warn: 'Warning',
  fail: 'Failed',
}

/** Creates the list of checks. `again` runs them anew. */
export function createDoctor(again: () => void): Component<readonly Check[] | undefined> {
  const list = h('ul', { class: 'lines' })
  const summary = h('p', { class: 'empty-line' }, 'Checking…')
  const button = h(
    'button',
    { class: 'button button-small', type: 'button', onclick: again },
    'Check again',
  )
  return {
    element: section('Doctor', button, summary, list),
    update: (checks) => {
      button.disabled = checks === undefined
      if (checks === undefined) return setText(summary, 'Checking…')
      const wrong = checks.filter(({ status }) => status !== 'ok').length
      setText(
        summary,
        wrong === 0
          ? `All ${checks.length} checks are in order.`
          : `${count(wrong, 'check')} of ${checks.length} ${wrong === 1 ? 'needs' : 'need'} a look.`,
      )
      // What is wrong stands first.
      const rank: Readonly<Record<Check['status'], number>> = { fail: 0, warn: 1, ok: 2 }
      list.replaceChildren(...[...checks].sort((a, b) => rank[a.status] - rank[b.status]).map(line))
    },
    dispose: () => {},
  }
}

function line(check: Check): HTMLElement {
  return h(
    'li',
    {},
    h('span', { class: `dot dot-${check.status}`, role: 'img', 'aria-label': words[check.status] }),
    h(
      'div',
      {},
      h('span', { class: 'line-name' }, check.name),
      h('span', { class: 'line-detail' }, check.detail),
      check.hint === undefined ? undefined : h('span', { class: 'line-hint' }, check.hint),
    ),
  )
}
