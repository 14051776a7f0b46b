/** The content store: how full it is, what went, and what stays because somebody keeps it. */

import type { Api, KeptObject, Pin, Status, StoreState } from '../../shared/api.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { icon } from '../../shared/icon.ts'
import type { PagerData } from '../pager.ts'
import { section } from '../section.ts'
import type { Change } from '../streams.ts'
import { createKeptObjects } from './kept-objects.ts'
import { createPins } from './pins.ts'
import { createTiers } from './tiers.ts'

/** What the section is made from. */
export interface StorageData {
  readonly state: StoreState
  readonly status: Status
  readonly kept: PagerData<KeptObject>
  readonly pins: PagerData<Pin>
  /** The text of `/metrics`. */
  readonly metrics: string
}

/** The section, which asks for all that it shows but the metrics. */
export interface StoragePart extends Component<StorageData> {
  ask(): Promise<Omit<StorageData, 'metrics'>>
}

/** Creates the section. */
export function createStorage(api: Api, change: Change): StoragePart {
  const tiers = createTiers()
  const kept = createKeptObjects(api, change)
  const pins = createPins(api, change)
  const problem = h('span')
  const notice = h('p', { class: 'notice', role: 'status', hidden: true })
  notice.append(icon('alert'), problem)
  const order = h(
    'p',
    { class: 'row-facts' },
    'Parts of streams and cached responses. When there is no more room, other objects go first, those that are asked for least; then live ones. Kept objects stay.',
  )
  return {
    element: section(
      'Storage',
      undefined,
      ...[notice, order, tiers.element, kept.element, pins.element],
    ),
    ask: async () => {
      const asked = [api.store(), api.status(), kept.ask(), pins.ask()] as const
      const [state, status, keptList, pinList] = await Promise.all(asked)
      return { state, status, kept: keptList, pins: pinList }
    },
    update: ({ state, status, kept: keptList, pins: pinList, metrics }) => {
      notice.hidden = state.status === 'ok'
      setText(problem, state.reason)
      tiers.update({ store: status.store, metrics })
      kept.update(keptList)
      pins.update(pinList)
    },
    dispose: () => {
      for (const part of [tiers, kept, pins]) part.dispose()
    },
  }
}
