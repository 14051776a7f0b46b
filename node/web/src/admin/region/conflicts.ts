/** Other regions of this one's name: what they are, and the way over to one of them, which is asked for twice. */

import { conflictAdvice } from '../../../../src/api/region-words.ts'
import type { Api, RegionAnswer } from '../../shared/api.ts'
import { confirmDialog } from '../../shared/confirm.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { count, shortPeerId } from '../../shared/format.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import { smallButton } from '../field.ts'
import { createProblemLine } from '../problem-line.ts'
import type { Change } from '../streams.ts'
import { timeText } from './time-text.ts'

/** Peers that are named; more speak for a large region. */
const speakersShown = 3

type Conflict = RegionAnswer['conflicts'][number]

/** Creates the list. */
export function createConflicts(api: Api, change: Change): Component<RegionAnswer> {
  const rows = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ regionId }: Conflict) => regionId,
    create: ({ regionId }) => createLine(regionId, api, change),
  })
  const element = h(
    'div',
    { class: 'part', hidden: true },
    h('h3', {}, 'Other regions of this name'),
    h(
      'p',
      { class: 'row-facts' },
      'They were founded apart, and each decides for itself: both may have given the same stream to two peers. Nobody but you can say which of them is to go.',
    ),
    rows.element,
  )
  return {
    element,
    update: ({ conflicts }) => {
      element.hidden = conflicts.length === 0
      rows.update(conflicts)
    },
    dispose: rows.dispose,
  }
}

function createLine(regionId: string, api: Api, change: Change): Component<Conflict> {
  let members = 0
  const facts = h('span', { class: 'line-detail' })
  const advice = h('span', { class: 'line-detail line-hint' })
  const problem = createProblemLine()
  const ask = async () => {
    const agreed = await confirmDialog({
      title: 'Move this peer to the other region?',
      text: `The region ${regionId} has ${count(members, 'member')}. This peer asks to be let in there, gives up its place and its leases in the present region, and asks for its streams anew: those that another peer owns there end here. The present region goes on without it; do the same at each of its members, one after another.`,
      action: 'Move this peer',
    })
    if (!agreed) return
    problem.show()
    await change(() => api.mergeRegion(regionId), problem.show)
  }
  const move = smallButton('Move this peer there', () => void ask(), 'danger')
  move.setAttribute('aria-label', `Move this peer to the region ${regionId}`)
  return {
    element: h(
      'li',
      { class: 'conflict' },
      h('span', { class: 'dot dot-warn' }),
      h('div', { class: 'line-text' }, h('code', {}, regionId), facts, advice, problem.element),
      h('div', { class: 'line-action' }, move),
    ),
    update: (conflict) => {
      members = conflict.memberCount
      setText(facts, describe(conflict))
      setText(advice, conflictAdvice(conflict))
      move.hidden = conflict.isRefused
    },
    dispose: () => {},
  }
}

function describe({ memberCount, founded, speakers }: Conflict): string {
  const told = speakers.slice(0, speakersShown).map(shortPeerId).join(', ')
  return [
    count(memberCount, 'member'),
    `founded ${timeText(founded)}`,
    told === '' ? '' : `told by ${told}`,
  ]
    .filter(Boolean)
    .join(' · ')
}
