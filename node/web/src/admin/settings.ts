/** The effective settings and where each comes from. */

import type { Setting } from '../shared/api.ts'
import { type Component, h } from '../shared/dom.ts'
import { section } from './section.ts'

/** Creates the table of settings. */
export function createSettings(): Component<readonly Setting[]> {
  const body = h('tbody')
  const table = h(
    'table',
    { class: 'settings setting-table' },
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
            h('th', { scope: 'row' }, h('code', {}, ...breakable(setting.name))),
            h('td', {}, h('code', {}, valueText(setting.value))),
            h('td', {}, setting.origin),
          ),
        ),
      )
    },
    dispose: () => {},
  }
}

/** A name in camel case, which may be broken before its capitals where there is little room. */
function breakable(name: string): (Node | string)[] {
  return name.split(/(?=[A-Z])/).flatMap((part, index) => (index === 0 ? part : [h('wbr'), part]))
}

function valueText(value: unknown): string {
  if (value === undefined || value === null || value === '') return '–'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
