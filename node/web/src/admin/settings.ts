/** The effective settings and where each comes from. */

import type { Setting } from '../shared/api.ts'
import { type Component, h } from '../shared/dom.ts'
import { section } from './section.ts'

/** Creates the table of settings. */
export function createSettings(): Component<readonly Setting[]> {
  const body = h('tbody')
  const table = h(
    'table',
    { class: 'settings' },
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, 'Setting'),
        h('th', { scope: 'col' }, 'Value'),
        h('th', { scope: 'col' }, 'From'),
      ),
    ),
    body,
  )
  return {
    element: section('Settings', undefined, h('div', { class: 'table-frame' }, table)),
    update: (settings) => {
      body.replaceChildren(
        ...settings.map((setting) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, h('code', {}, setting.name)),
            h('td', {}, h('code', {}, valueText(setting.value))),
            h('td', {}, setting.origin),
          ),
        ),
      )
    },
    dispose: () => {},
  }
}

function valueText(value: unknown): string {
  if (value === undefined || value === null || value === '') return '–'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
