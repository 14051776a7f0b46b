/** The watch page's header: the name, how much of the network is live, and which peer serves the page. */

import type { PeerInfo, Stream } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { count, shortPeerId } from '../shared/format.ts'
import { icon, logoMark } from '../shared/icon.ts'

/** What the header shows; a part that is not known yet is left out. */
export interface HeaderData {
  readonly peer: PeerInfo | undefined
  readonly streams: readonly Stream[] | undefined
  /** Whether this peer answers at present. */
  readonly reachable: boolean
}

/** Creates the contents of the header. */
export function createHeader(element: HTMLElement): Component<HeaderData> {
  const network = h('span')
  const networkPill = h('span', { class: 'pill wide', hidden: true })
  networkPill.append(icon('network'), network)
  const dot = h('span', { class: 'dot' })
  const peerName = h('span', { class: 'mono' })
  const peerPill = h('span', { class: 'pill', hidden: true }, dot, peerName)
  element.append(
    h('a', { class: 'brand', href: '#/', 'aria-label': 'Kairo, all streams' }, logoMark(), 'Kairo'),
    h('div', { class: 'header-facts' }, networkPill, peerPill),
  )
  return {
    element,
    update: ({ peer, streams, reachable }) => {
      networkPill.hidden = streams === undefined
      if (streams !== undefined) {
        const live = streams.filter(({ state }) => state === 'live').length
        setText(network, `${live} live · ${count(peer?.connectedPeers ?? 0, 'peer')}`)
        networkPill.title = 'Live streams of the network, and peers that this one is connected to'
      }
      peerPill.hidden = peer === undefined && reachable
      dot.className = reachable ? 'dot dot-ok' : 'dot dot-fail'
      setText(peerName, reachable ? shortPeerId(peer?.peerId ?? '') : 'peer unreachable')
      peerPill.title = peer === undefined ? '' : `This page comes from peer ${peer.peerId}`
    },
    dispose: () => element.replaceChildren(),
  }
}
