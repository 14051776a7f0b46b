/** The region that decides who owns what: how it stands, who is in it, how its groups are led, and whose each stream is. */

import {
  type RegionNotice,
  regionFacts,
  regionNotices,
  regionState,
} from '../../../../src/api/region-words.ts'
import type { Api, RegionAnswer, StreamOwner } from '../../shared/api.ts'
import { copyButton } from '../../shared/copy.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { icon } from '../../shared/icon.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import type { PagerData } from '../pager.ts'
import { places } from '../place-link.ts'
import { emptyLine, section } from '../section.ts'
import type { Change } from '../streams.ts'
import { createConflicts } from './conflicts.ts'
import { createGroups } from './groups.ts'
import { createMembers } from './members.ts'
import { createOwners } from './owners.ts'
import { timeText } from './time-text.ts'

/** What the section is made from. */
export interface RegionData {
  readonly region: RegionAnswer
  readonly owners: PagerData<StreamOwner>
}

/** The section, which asks for what it shows. */
export interface RegionPart extends Component<RegionData> {
  ask(): Promise<RegionData>
  /** The peer did not answer; what it said before stays. */
  fail(error: unknown): void
}

/** Creates the section. */
export function createRegion(api: Api, change: Change): RegionPart {
  const dot = h('span', { class: 'dot' })
  const word = h('span', {}, '–')
  const state = h('span', { class: 'block-note region-state', hidden: true }, dot, word)
  const waiting = emptyLine('Asking the members of the region…')
  const notices = createKeyedList(h('div', { class: 'notices' }), {
    key: ({ text, hint }: RegionNotice) => `${text} ${hint}`,
    create: createNotice,
  })
  const facts = createFacts()
  const members = createMembers()
  const groups = createGroups()
  const conflicts = createConflicts(api, change)
  const owners = createOwners(api)
  const parts = [facts, members, groups, conflicts, owners]
  const earlier = h('p', { class: 'empty-line', hidden: true })
  let last: { readonly region: RegionAnswer; readonly at: Date } | undefined
  const body = h(
    'div',
    { class: 'part', hidden: true },
    ...[facts.element, conflicts.element, earlier],
    ...[members, groups, owners].map(({ element }) => element),
  )
  const element = section('Region', state, waiting, notices.element, body)
  element.id = places.region
  return {
    element,
    ask: async () => {
      const [region, list] = await Promise.all([api.region(), owners.ask()])
      return { region, owners: list }
    },
    update: ({ region, owners: list }) => {
      const { word: text, status } = regionState(region)
      dot.className = `dot dot-${status}`
      setText(word, text)
      waiting.hidden = true
      state.hidden = body.hidden = false
      notices.update(regionNotices(region))
      if (region.members.length > 0) last = { region, at: new Date() }
      const known = last?.region.regionId === region.regionId ? last : undefined
      const isEarlier = known !== undefined && known.region !== region
      earlier.hidden = !isEarlier
      setText(earlier, `Members and groups as they were told at ${known?.at.toLocaleTimeString()}.`)
      for (const part of [facts, conflicts]) part.update(region)
      for (const part of [members, groups]) part.update(known?.region ?? region)
      owners.update(list)
    },
    fail: (error) => {
      if (body.hidden) setText(waiting, `The region could not be asked: ${messageOf(error)}`)
      dot.className = 'dot'
      setText(word, 'not known now')
    },
    dispose: () => {
      for (const part of [notices, ...parts]) part.dispose()
    },
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function createNotice({ text, hint, status }: RegionNotice): Component<RegionNotice> {
  const style = status === 'fail' ? 'notice notice-fail' : 'notice'
  const words = h('div', {}, h('p', {}, ...withCode(text)))
  if (hint !== '') words.append(h('p', { class: 'line-detail' }, ...withCode(hint)))
  const element = h('div', { class: style, role: 'status' })
  element.append(icon('alert'), words)
  return { element, update: () => {}, dispose: () => {} }
}

/** Words between backticks are commands. */
function withCode(text: string): (Node | string)[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? h('code', {}, part) : part))
}

/** What there is to know at a glance; how the region stands is at the head of the section. */
function createFacts(): Component<RegionAnswer> {
  const rows = createKeyedList(h('dl', { class: 'region-facts' }), {
    key: ([name]: readonly [string, string]) => name,
    create: ([name]) => createFact(name),
  })
  return {
    element: rows.element,
    update: (region) => rows.update(regionFacts(region).filter(([name]) => name !== 'state')),
    dispose: rows.dispose,
  }
}

function createFact(name: string): Component<readonly [name: string, value: string]> {
  let id = ''
  const value = h(name === 'region id' ? 'code' : 'span')
  const copy = name === 'region id' ? copyButton('Copy the id of the region', () => id) : undefined
  return {
    element: h('div', {}, h('dt', {}, name), h('dd', {}, value, copy)),
    update: ([, text]) => {
      id = text
      setText(value, name === 'founded' ? timeText(text) : text)
    },
    dispose: () => {},
  }
}
