/** This peer as a shared cache: whose it is, how well it serves, what it reads beforehand, and the way to make it forget. */

import type { Api, Fill, HostRules, PurgeReport, Purges } from '../../shared/api.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { count } from '../../shared/format.ts'
import type { PagerData } from '../pager.ts'
import { section } from '../section.ts'
import type { Change } from '../streams.ts'
import { describeFigures, readCacheFigures, sumFigures } from './cache-figures.ts'
import { createFills } from './fills.ts'
import { createHostRules } from './host-rules.ts'
import { createPurgeForm } from './purge-form.ts'
import { createPurges } from './purges.ts'

/** What the section is made from. */
export interface CacheData {
  readonly hostRules: HostRules
  readonly purges: Purges
  readonly fills: PagerData<Fill>
  /** The text of `/metrics`. */
  readonly metrics: string
}

/** The section, which asks for all that it shows but the metrics. */
export interface CachePart extends Component<CacheData> {
  ask(): Promise<Omit<CacheData, 'metrics'>>
}

/** Creates the section. */
export function createCache(api: Api, change: Change): CachePart {
  let known: readonly PurgeReport[] = []
  let made: string | undefined
  const summary = h('p', { class: 'row-facts' })
  const behind = h(
    'p',
    { class: 'notice', role: 'status', hidden: true },
    'This peer may have missed purges and asks the origins until it has caught up.',
  )
  const rules = createHostRules(api, change)
  const fills = createFills(api, change)
  const purges = createPurges()
  const form = createPurgeForm((selector, mode) =>
    change(async () => {
      const report = await api.purge(selector, mode)
      made = report.id
      show([report, ...known.filter(({ id }) => id !== report.id)])
    }),
  )
  const show = (reports: readonly PurgeReport[]) => {
    known = reports
    purges.update({ purges: reports, made })
  }
  const purgeTitle = h('h3', {}, 'Purge at every peer')
  return {
    element: section(
      'Cache',
      rules.addButton,
      ...[summary, behind, rules.element, fills.element, purgeTitle, form, purges.element],
    ),
    ask: async () => {
      const asked = [api.hostRules(), api.purges(), fills.ask()] as const
      const [hostRules, purgeList, fillList] = await Promise.all(asked)
      return { hostRules, purges: purgeList, fills: fillList }
    },
    update: ({ hostRules, purges: { caughtUp, purges: reports }, fills: fillList, metrics }) => {
      const figures = readCacheFigures(metrics)
      const kept = `${count(hostRules.entries, 'response')} kept`
      setText(summary, `${kept} · ${describeFigures(sumFigures(figures))}`)
      behind.hidden = caughtUp || hostRules.rules.length === 0
      rules.update({ rules: hostRules.rules, figures })
      fills.update(fillList)
      show(reports)
    },
    dispose: () => {
      rules.dispose()
      fills.dispose()
      purges.dispose()
    },
  }
}
