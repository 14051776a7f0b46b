/** Every peer that is known, this one first: where it stands, how busy it is, how far away, and whether this browser would be sent to it. */

import type { KnownPeers, Nearest } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { shortPeerId } from '../shared/format.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { describePeer, type PeerRow, peerRows, peerState } from './peer-words.ts'
import { section } from './section.ts'

/** The peers, and the best of them for this browser. */
export interface KnownPeersData {
  readonly known: KnownPeers
  readonly nearest: Nearest
}

/** Creates the section. */
export function createKnownPeers(): Component<KnownPeersData> {
  const note = h('span', { class: 'block-note' })
  const rows = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ peer }: PeerRow) => peer.peerId,
    create: createLine,
  })
  return {
    element: section('Peers', note, rows.element),
    update: ({ known, nearest }) => {
      const list = peerRows(known, nearest)
      setText(note, `${list.length} known`)
      rows.update(list)
    },
    dispose: rows.dispose,
  }
}

function createLine(): Component<PeerRow> {
  const dot = h('span', { class: 'dot' })
  const name = h('code')
  const title = h('span', { class: 'line-name-plain' })
  const facts = h('span', { class: 'line-detail' })
  const urls = h('span', { class: 'line-detail' })
  const rank = h('span', { class: 'line-detail line-hint' })
  return {
    element: h('li', {}, dot, h('div', {}, h('span', {}, title, name), facts, urls, rank)),
    update: (row) => {
      const { peer, place } = row
      dot.className = `dot ${peerState(row).dot}`
      setText(title, row.isSelf ? 'This peer ' : '')
      setText(name, shortPeerId(peer.peerId))
      name.title = peer.peerId
      setText(facts, describePeer(row))
      setText(
        urls,
        [...peer.urls, ...peer.httpsAddresses.map((each) => `HTTPS ${each}`)].join(', '),
      )
      urls.hidden = urls.textContent === ''
      rank.hidden = place === undefined
      setText(rank, place ?? '')
    },
    dispose: () => {},
  }
}
