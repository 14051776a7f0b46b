/** This peer as a shared cache: whose it is, how well it serves, and the way to make it forget. */

import type { Api, HostRules, PurgeReport, Purges } from '../../shared/api.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { count } from '../../shared/format.ts'
import { section } from '../section.ts'
import type { Change } from '../streams.ts'
import { describeFigures, readCacheFigures, sumFigures } from './cache-figures.ts'
import { createHostRules } from './host-rules.ts'
import { createPurgeForm } from './purge-form.ts'
import { createPurges } from './purges.ts'

/** What the section is made from. */
export interface CacheData {
  readonly hostRules: HostRules
  readonly purges: Purges
  /** The text of `/metrics`. */
  readonly metrics: string
}

/** Asks for all of it. */
export async function askCache(api: Api): Promise<CacheData> {
  const [hostRules, purges, metrics] = await Promise.all([
    api.hostRules(),
    api.purges(),
    api.metrics(),
  ])
  return { hostRules, purges, metrics }
}

/** Creates the section. */
export function createCache(api: Api, change: Change): Component<CacheData> {
  let known: readonly PurgeReport[] = []
  let made: string | undefined
  const summary = h('p', { class: 'row-facts' })
  const behind = h(
    'p',
    { class: 'notice', role: 'status', hidden: true },
    'This peer may have missed purges and asks the origins until it has caught up.',
  )
  const rules = createHostRules(api, change)
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
      ...[summary, behind, rules.element, purgeTitle, form, purges.element],
    ),
    update: ({ hostRules, purges: { caughtUp, purges: reports }, metrics }) => {
      const figures = readCacheFigures(metrics)
      const kept = `${count(hostRules.entries, 'response')} kept`
      setText(summary, `${kept} · ${describeFigures(sumFigures(figures))}`)
      behind.hidden = caughtUp || hostRules.rules.length === 0
      rules.update({ rules: hostRules.rules, figures })
      show(reports)
    },
    dispose: () => {
      rules.dispose()
      purges.dispose()
    },
  }
}
