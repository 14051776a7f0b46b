/** Who owns which stream, as the region says: the peer whose publisher is the only one, and until when its lease runs. */

import { leaseLeft, ownerWords, tokenWords } from '../../../../src/api/region-words.ts'
import type { Api, StreamOwner } from '../../shared/api.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { shortPeerId } from '../../shared/format.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import { createPager, type PagerData } from '../pager.ts'
import { createPlaceLink, places } from '../place-link.ts'
import { emptyLine } from '../section.ts'
import { timeText } from './time-text.ts'

/** The list, which asks for what it shows. */
export interface OwnersPart extends Component<PagerData<StreamOwner>> {
  ask(): Promise<PagerData<StreamOwner>>
}

/** Creates the list. */
export function createOwners(api: Api): OwnersPart {
  let leaseMs = 0
  const none = emptyLine('No stream is live.')
  const rows = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ id }: StreamOwner) => id,
    create: ({ id }) => createLine(id, () => leaseMs),
  })
  const pager = createPager<StreamOwner>({
    label: 'Pages of stream owners',
    ask: async ({ limit, skip }) => {
      const answer = await api.streamOwners({ limit, skip })
      leaseMs = answer.leaseMs
      return { items: answer.streams, total: answer.total }
    },
    show: ({ items, total }) => {
      none.hidden = total > 0
      rows.update(items)
    },
  })
  return {
    element: h(
      'div',
      { class: 'part' },
      h('h3', {}, 'Who owns which stream'),
      ...[none, rows.element, pager.element],
    ),
    ask: pager.ask,
    update: pager.update,
    dispose: () => {
      rows.dispose()
      pager.dispose()
    },
  }
}

const dots: Readonly<Record<StreamOwner['state'], string>> = {
  owned: 'dot dot-ok',
  free: 'dot',
  unknown: 'dot dot-warn',
}

function createLine(id: string, leaseMs: () => number): Component<StreamOwner> {
  const dot = h('span')
  const name = createPlaceLink('line-name-plain')
  const owner = createPlaceLink()
  const facts = h('span')
  return {
    element: h(
      'li',
      { id: places.owner(id) },
      dot,
      h('div', {}, name.element, h('span', { class: 'line-detail' }, owner.element, facts)),
    ),
    update: (stream) => {
      dot.className = dots[stream.state]
      name.show(stream.name, places.stream(id))
      const who = ownerWords(stream)
      const isOther = who === stream.owner
      owner.element.title = stream.owner ?? ''
      owner.show(
        isOther ? shortPeerId(who) : who,
        ...(stream.owner === null ? [] : [places.member(stream.owner), places.peer(stream.owner)]),
      )
      const since = stream.since === null ? '' : `since ${timeText(stream.since)}`
      const told = [since, tokenWords(stream), leaseLeft(stream, leaseMs())].filter(Boolean)
      setText(facts, told.map((each) => ` · ${each}`).join(''))
    },
    dispose: () => {},
  }
}
