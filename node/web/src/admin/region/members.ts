/** The members of the region: who is there, what each leads, and how busy it is. */

import { memberLoad, memberState } from '../../../../src/api/region-words.ts'
import type { RegionAnswer } from '../../shared/api.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { count, shortPeerId } from '../../shared/format.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import { createPlaceLink, places } from '../place-link.ts'
import { timeText } from './time-text.ts'

/** Members that are listed; of a larger region those that need a look come first, and the command line tells all. */
const shownMax = 40

/** A member, and whether its region can know that it is there. */
type Member = RegionAnswer['members'][number] & Pick<RegionAnswer, 'hasQuorum'>

/** Creates the list. */
export function createMembers(): Component<RegionAnswer> {
  const title = h('h3')
  const more = h('p', { class: 'empty-line', hidden: true })
  const rows = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ memberId }: Member) => String(memberId),
    create: ({ peerId }) => createLine(peerId),
  })
  const element = h('div', { class: 'part' }, title, rows.element, more)
  return {
    element,
    update: ({ hasQuorum, members: told }) => {
      const members = told.map((member) => ({ ...member, hasQuorum }))
      element.hidden = members.length === 0
      const there = members.filter((member) => stateOf(member).status !== 'fail').length
      const where = hasQuorum ? 'there' : 'here or connected'
      setText(title, `Members, ${there} of ${members.length} ${where}`)
      rows.update(inOrder(members).slice(0, shownMax))
      const left = members.length - shownMax
      more.hidden = left <= 0
      setText(more, `And ${count(left, 'more member')}: kairo region lists all.`)
    },
    dispose: rows.dispose,
  }
}

/** Of many members those that are away stand first, behind this one; of few all stand where they stood before. */
function inOrder(members: readonly Member[]): Member[] {
  const rank = (member: Member) =>
    member.isSelf ? 0 : members.length > shownMax && stateOf(member).status !== 'ok' ? 1 : 2
  return [...members].sort((a, b) => rank(a) - rank(b) || a.memberId - b.memberId)
}

function stateOf(member: Member): ReturnType<typeof memberState> {
  return memberState(member, member)
}

function createLine(peerId: string): Component<Member> {
  const dot = h('span', { class: 'dot' })
  const name = h('span', { class: 'line-name-plain' })
  const peer = createPlaceLink('mono')
  peer.element.title = peerId
  const facts = h('span', { class: 'line-detail' })
  return {
    element: h(
      'li',
      { id: places.member(peerId) },
      dot,
      h('div', {}, h('span', {}, name, ' ', peer.element), facts),
    ),
    update: (member) => {
      dot.className = `dot dot-${stateOf(member).status}`
      setText(name, `Member ${member.memberId}${member.isSelf ? ' (here)' : ''}`)
      peer.show(shortPeerId(peerId), places.peer(peerId))
      setText(facts, describe(member))
    },
    dispose: () => {},
  }
}

function describe(member: Member): string {
  const { leads, votes, incarnation, since, roles } = member
  const load = memberLoad(member)
  return [
    stateOf(member).word,
    `leads ${leads}`,
    `votes in ${votes}`,
    load === '' ? '' : `load ${load}`,
    count(incarnation, 'start'),
    since === null ? '' : `since ${timeText(since)}`,
    roles.join(', '),
  ]
    .filter(Boolean)
    .join(' · ')
}
