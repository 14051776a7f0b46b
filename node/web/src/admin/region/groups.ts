/** The Raft groups of the region: who leads each, who votes, how far its log is, and who lags behind. */

import { groupLag, groupLeader, groupName, groupState } from '../../../../src/api/region-words.ts'
import type { RegionAnswer } from '../../shared/api.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'

type Group = RegionAnswer['groups'][number]

/** Creates the table, which is folded up while there is nothing to see in it. */
export function createGroups(): Component<RegionAnswer> {
  let opened = false
  const dot = h('span', { class: 'dot' })
  const summary = h('span')
  const rows = createKeyedList(h('tbody'), {
    key: ({ group }: Group) => String(group),
    create: createRow,
  })
  const head = ['Group', 'Leader', 'Voters', 'Term', 'Commit', 'Lag'].map((title) =>
    h('th', { scope: 'col' }, title),
  )
  const table = h(
    'table',
    { class: 'settings group-table', 'aria-label': 'Groups of the region' },
    h('thead', {}, h('tr', {}, ...head)),
    rows.element,
  )
  const element = h(
    'details',
    { class: 'groups' },
    h('summary', {}, dot, summary),
    h('div', { class: 'table-frame' }, table),
    h(
      'p',
      { class: 'field-hint' },
      'Group 0 holds the members; the others are shards, among which streams are spread. Leader and voters are member ids. Lag is how many of the entries that are committed a member lacks.',
    ),
  )
  return {
    element,
    update: ({ groups }) => {
      element.hidden = groups.length === 0
      const silent = groups.filter(({ hasQuorum }) => !hasQuorum).length
      dot.className = `dot ${silent === 0 ? 'dot-ok' : 'dot-fail'}`
      setText(summary, describeGroups(groups.length, silent))
      // Only once: whoever closes it wants it closed.
      if (silent > 0 && !opened) element.open = opened = true
      rows.update(groups)
    },
    dispose: rows.dispose,
  }
}

function describeGroups(all: number, silent: number): string {
  if (silent === 0) return all === 1 ? 'The group has a quorum' : `All ${all} groups have a quorum`
  return silent === all ? 'No group has a quorum' : `${silent} of ${all} groups have no quorum`
}

function createRow(): Component<Group> {
  const name = h('span')
  const state = h('span', { class: 'line-detail' })
  const leader = h('td')
  const voters = h('span')
  const learners = h('span', { class: 'line-detail' })
  const term = h('td')
  const commit = h('td')
  const lag = h('td')
  return {
    element: h(
      'tr',
      {},
      h('th', { scope: 'row' }, name, state),
      ...[leader, h('td', {}, voters, learners), term, commit, lag],
    ),
    update: (group) => {
      setText(name, groupName(group))
      setText(state, groupState(group))
      setText(leader, groupLeader(group))
      leader.classList.toggle('is-failing', group.leader === null)
      setText(voters, group.voters.join(' '))
      setText(learners, group.learners.length === 0 ? '' : `learners ${group.learners.join(' ')}`)
      setText(term, String(group.term))
      setText(commit, String(group.commit))
      setText(lag, groupLag(group))
    },
    dispose: () => {},
  }
}
