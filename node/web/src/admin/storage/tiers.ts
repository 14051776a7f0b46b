/** How full RAM and disk are, by the classes in which objects go when room is needed. */

import type { Status } from '../../shared/api.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { bytes, count } from '../../shared/format.ts'
import {
  describeObjects,
  describeUse,
  type ObjectClass,
  objectClasses,
  readStoreFigures,
  type StoreFigures,
  shareOf,
  type Tier,
  tiers,
} from './store-figures.ts'

/** The bounds, and the text of `/metrics`. */
export interface TiersData {
  readonly store: Status['store']
  readonly metrics: string
}

const tierNames: Readonly<Record<Tier, string>> = { memory: 'RAM', disk: 'Disk' }
const classWords: Readonly<Record<ObjectClass, readonly [name: string, hint: string]>> = {
  kept: ['Kept', 'stay until released'],
  live: ['Live', 'in live playlists now'],
  loose: ['Other', 'go first'],
}

/** Creates the bars and the table below them. */
export function createTiers(): Component<TiersData> {
  const bars = { memory: createBar('memory'), disk: createBar('disk') }
  const rows = objectClasses.map(createRow)
  const noDisk = h(
    'p',
    { class: 'row-facts', hidden: true },
    'Nothing is written to disk: the setting diskBytesMax is 0.',
  )
  const overBound = h('p', { class: 'row-facts', hidden: true })
  const head = ['Objects', 'In RAM', 'On disk'].map((title) => h('th', { scope: 'col' }, title))
  const table = h(
    'table',
    { class: 'settings store-table', 'aria-label': 'Objects by class' },
    h('thead', {}, h('tr', {}, ...head)),
    h('tbody', {}, ...rows.map(({ element }) => element)),
  )
  return {
    element: h(
      'div',
      { class: 'part' },
      ...[bars.memory.element, bars.disk.element, noDisk],
      h('div', { class: 'table-frame' }, table),
      overBound,
    ),
    update: ({ store, metrics }) => {
      const figures = readStoreFigures(metrics)
      bars.memory.update({ figures, used: store.memoryBytes, max: store.memoryBytesMax })
      bars.disk.update({ figures, used: store.diskBytes, max: store.diskBytesMax })
      bars.disk.element.hidden = store.diskBytesMax === 0
      noDisk.hidden = store.diskBytesMax !== 0
      for (const row of rows) row.update(figures)
      const objects = count(figures.overBound, 'object')
      overBound.hidden = figures.overBound === 0
      setText(overBound, `Of those removed from disk, ${objects} had an owner over its bound.`)
    },
    dispose: () => {},
  }
}

interface BarData {
  readonly figures: StoreFigures
  readonly used: number
  readonly max: number
}

/** One tier: its name, how full it is, and a bar with a piece for each class. */
function createBar(tier: Tier): Component<BarData> {
  const facts = h('span', { class: 'line-detail' }, '–')
  const pieces = objectClasses.map((name) => ({ name, element: h('div', { class: `of-${name}` }) }))
  const bar = h(
    'div',
    { class: 'bar tier-bar', role: 'meter', 'aria-label': `${tierNames[tier]} in use` },
    ...pieces.map(({ element }) => element),
  )
  bar.setAttribute('aria-valuemin', '0')
  bar.setAttribute('aria-valuemax', '100')
  return {
    element: h(
      'div',
      { class: 'tier' },
      h('div', { class: 'tier-head' }, h('strong', {}, tierNames[tier]), facts),
      bar,
    ),
    update: ({ figures, used, max }) => {
      setText(facts, describeUse(used, max))
      bar.setAttribute('aria-valuenow', String(Math.round(shareOf(used, max) * 100)))
      bar.setAttribute('aria-valuetext', describeUse(used, max))
      for (const { name, element } of pieces) {
        const width = shareOf(figures.of(tier, name).bytes, max)
        element.style.setProperty('width', `${width * 100}%`)
      }
    },
    dispose: () => {},
  }
}

function createRow(name: ObjectClass): Component<StoreFigures> {
  const [title, hint] = classWords[name]
  const cells = tiers.map((tier) => {
    const size = h('span')
    const objects = h('span', { class: 'line-detail' })
    return { tier, size, objects, element: h('td', {}, size, objects) }
  })
  return {
    element: h(
      'tr',
      {},
      h(
        'th',
        { scope: 'row' },
        h(
          'div',
          { class: 'class-name' },
          h('span', { class: `swatch of-${name}` }),
          h('span', {}, title, h('span', { class: 'line-detail' }, hint)),
        ),
      ),
      ...cells.map(({ element }) => element),
    ),
    update: (figures) => {
      for (const { tier, size, objects } of cells) {
        const held = figures.of(tier, name)
        setText(size, bytes(held.bytes))
        setText(objects, describeObjects(held))
      }
    },
    dispose: () => {},
  }
}
