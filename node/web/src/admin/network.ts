/** The peers that this one is connected to, and those it was told to join. */

import type { Status } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { emptyLine, section } from './section.ts'

type Connection = Status['peers'][number]
type Join = Status['join'][number]

/** Creates the list of connections. */
export function createNetwork(): Component<Status> {
  const none = emptyLine(
    'No other peer is connected. Start one on another machine with the join command of this page.',
  )
  const peers = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ peerId, address }: Connection) => `${peerId} ${address}`,
    create: () =>
      createLine<Connection>((peer) => [peer.peerId, `${peer.direction} · ${peer.address}`, true]),
  })
  const joins = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ target }: Join) => target,
    create: () =>
      createLine<Join>((join) => [join.target, join.error ?? join.state, join.error === null]),
  })
  const joinTitle = h('h3', {}, 'Asked to join')
  return {
    element: section('Network', undefined, none, peers.element, joinTitle, joins.element),
    update: (status) => {
      none.hidden = status.peers.length > 0
      joinTitle.hidden = status.join.length === 0
      peers.update(status.peers)
      joins.update(status.join)
    },
    dispose: () => {
      peers.dispose()
      joins.dispose()
    },
  }
}

/** One line: a dot, an address, and what there is to say of it. */
function createLine<T>(
  read: (item: T) => readonly [name: string, detail: string, ok: boolean],
): Component<T> {
  const dot = h('span', { class: 'dot' })
  const name = h('code')
  const detail = h('span', { class: 'line-detail' })
  return {
    element: h('li', {}, dot, h('div', {}, name, detail)),
    update: (item) => {
      const [first, second, ok] = read(item)
      dot.className = ok ? 'dot dot-ok' : 'dot dot-fail'
      setText(name, first)
      setText(detail, second)
    },
    dispose: () => {},
  }
}
