/** The newest purges, each with what became of it at every peer. */

import type { PurgeReport } from '../../shared/api.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { shortPeerId } from '../../shared/format.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import { describePurge, describeSelector, outcomeWords } from './purge-words.ts'

/** Purges that are listed; the peer keeps more. */
const shownMax = 8

/** What is shown. */
export interface PurgesData {
  /** Newest first. */
  readonly purges: readonly PurgeReport[]
  /** The purge that this page has made last: its table is open. */
  readonly made: string | undefined
}

interface PurgeRow {
  readonly report: PurgeReport
  readonly isMade: boolean
}

/** Creates the list. */
export function createPurges(): Component<PurgesData> {
  const title = h('h3', {}, 'Recent purges')
  const rows = createKeyedList(h('ul', { class: 'purges' }), {
    key: ({ report }: PurgeRow) => report.id,
    create: createRow,
  })
  return {
    element: h('div', { class: 'part' }, title, rows.element),
    update: ({ purges, made }) => {
      title.hidden = purges.length === 0
      rows.update(
        purges.slice(0, shownMax).map((report) => ({ report, isMade: report.id === made })),
      )
    },
    dispose: rows.dispose,
  }
}

function createRow(): Component<PurgeRow> {
  const dot = h('span', { class: 'dot' })
  const what = h('strong')
  const detail = h('span', { class: 'line-detail' })
  const body = h('tbody')
  const head = (...titles: string[]) =>
    h('tr', {}, ...titles.map((title) => h('th', { scope: 'col' }, title)))
  const table = h(
    'table',
    { class: 'settings' },
    h('thead', {}, head('Peer', 'Outcome', 'Responses', 'After')),
    body,
  )
  const summary = h('summary', {}, dot, h('span', { class: 'purge-text' }, what, detail))
  let shown = ''
  const details = h('details', {}, summary, h('div', { class: 'table-frame' }, table))
  let opened = false
  return {
    element: h('li', {}, details),
    update: ({ report, isMade }) => {
      // Only once: whoever closes it wants it closed.
      if (isMade && !opened) details.open = opened = true
      const wanted = JSON.stringify(report)
      if (wanted === shown) return
      shown = wanted
      dot.className = `dot ${report.complete ? 'dot-ok' : 'dot-warn'}`
      setText(what, describeSelector(report.selector))
      const time = new Date(report.issued).toLocaleTimeString()
      setText(detail, `${time} · ${describePurge(report)}`)
      body.replaceChildren(...report.peers.map(peerLine))
    },
    dispose: () => {},
  }
}

function peerLine({ peerId, status, purged, ms, code }: PurgeReport['peers'][number]) {
  const outcome = outcomeWords[status] + (code === null ? '' : ` (${code})`)
  const after = status === 'done' ? `${Math.round(ms)} ms` : '–'
  return h(
    'tr',
    {},
    h('th', { scope: 'row', title: peerId }, h('code', {}, shortPeerId(peerId))),
    h('td', {}, outcome),
    h('td', {}, status === 'done' ? String(purged) : '–'),
    h('td', {}, after),
  )
}
