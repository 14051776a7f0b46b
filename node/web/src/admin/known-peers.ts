/** Every peer that is known, this one first: where it stands, how busy it is, how far away, and whether this browser would be sent to it. */

import type { KnownPeers, Nearest } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { shortPeerId } from '../shared/format.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { describePeer, type PeerRow, peerRows, peerState } from './peer-words.ts'
import { createPlaceLink, places } from './place-link.ts'
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
    create: ({ peer }) => createLine(peer.peerId),
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

function createLine(peerId: string): Component<PeerRow> {
  const dot = h('span', { class: 'dot' })
  const name = h('code')
  const title = h('span', { class: 'line-name-plain' })
  const facts = h('span', { class: 'line-detail' })
  const urls = h('span', { class: 'line-detail' })
  const rank = h('span', { class: 'line-detail line-hint' })
  const member = createPlaceLink()
  const membership = h('span', { class: 'line-detail', hidden: true }, member.element)
  return {
    element: h(
      'li',
      { id: places.peer(peerId) },
      dot,
      h('div', {}, h('span', {}, title, name), facts, urls, membership, rank),
    ),
    update: (row) => {
      const { peer, place } = row
      dot.className = `dot ${peerState(row).dot}`
      setText(title, row.isSelf ? 'This peer ' : '')
      setText(name, shortPeerId(peerId))
      name.title = peerId
      setText(facts, describePeer(row))
      setText(
        urls,
        [...peer.urls, ...peer.httpsAddresses.map((each) => `HTTPS ${each}`)].join(', '),
      )
      urls.hidden = urls.textContent === ''
      member.show('Member of the region', places.member(peerId))
      membership.hidden = !member.element.hasAttribute('href')
      rank.hidden = place === undefined
      setText(rank, place ?? '')
    },
    dispose: () => {},
  }
}
