/** The sites that this peer is a shared cache of: listed with how well they are served, added, changed, removed. */

import type { Api, HostRuleView } from '../../shared/api.ts'
import { confirmDialog } from '../../shared/confirm.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { duration } from '../../shared/format.ts'
import { icon } from '../../shared/icon.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import { smallButton } from '../field.ts'
import { emptyLine } from '../section.ts'
import type { Change } from '../streams.ts'
import { type CacheFigures, describeFigures, type RuleFigures } from './cache-figures.ts'
import { createRuleForm } from './rule-form.ts'
import { describeOrigin } from './rule-values.ts'

/** The rules and what the metrics say of them. */
export interface HostRulesData {
  readonly rules: readonly HostRuleView[]
  readonly figures: CacheFigures
}

/** The list, and the button that opens its form. */
export interface HostRulesPart extends Component<HostRulesData> {
  readonly addButton: HTMLButtonElement
}

interface RuleRow {
  readonly rule: HostRuleView
  readonly figures: RuleFigures | undefined
}

/** Creates the list with its form. */
export function createHostRules(api: Api, change: Change): HostRulesPart {
  const form = createRuleForm({
    put: async (name, rule) => {
      let taken = false
      await change(async () => {
        await api.putHostRule(name, rule)
        taken = true
      })
      return taken
    },
    onClose: () => addButton.setAttribute('aria-expanded', 'false'),
  })
  const addButton = smallButton('', () => {
    if (!form.element.hidden) return form.close()
    addButton.setAttribute('aria-expanded', 'true')
    form.open()
  })
  addButton.append(icon('plus'), 'New rule')
  addButton.setAttribute('aria-expanded', 'false')
  const none = emptyLine(
    'This peer is no cache of any site yet. Add a rule, or start it with “kairo cdn --origin”.',
  )
  const rows = createKeyedList(h('ul', { class: 'rows' }), {
    key: ({ rule }: RuleRow) => rule.name,
    create: ({ rule }) =>
      createRow(rule, {
        edit: form.open,
        remove: () => change(() => api.removeHostRule(rule.name)),
      }),
  })
  return {
    addButton,
    element: h('div', { class: 'part' }, form.element, none, rows.element),
    update: ({ rules, figures }) => {
      none.hidden = rules.length > 0
      rows.update(rules.map((rule) => ({ rule, figures: figures.byRule.get(rule.name) })))
    },
    dispose: rows.dispose,
  }
}

interface RowInit {
  readonly edit: (rule: HostRuleView) => void
  readonly remove: () => Promise<void>
}

function createRow(first: HostRuleView, init: RowInit): Component<RuleRow> {
  let current = first
  const title = h('span', { class: 'row-title' })
  const hosts = h('p', { class: 'row-facts' })
  const origin = h('p', { class: 'row-facts' })
  const served = h('p', { class: 'row-facts' })
  const edit = smallButton('Change', () => init.edit(current))
  const ask = async () => {
    const agreed = await confirmDialog({
      title: `Remove the rule “${current.name}”?`,
      text: 'Its hosts are not served from here any more, and what was cached under it is forgotten.',
      action: 'Remove rule',
    })
    if (agreed) await init.remove()
  }
  const remove = smallButton('Remove', () => void ask(), 'danger')
  edit.setAttribute('aria-label', `Change the rule ${first.name}`)
  remove.setAttribute('aria-label', `Remove the rule ${first.name}`)
  return {
    element: h(
      'li',
      { class: 'row' },
      h(
        'div',
        { class: 'row-text' },
        h('div', { class: 'row-head' }, title),
        hosts,
        origin,
        served,
      ),
      h('div', { class: 'row-actions' }, edit, remove),
    ),
    update: ({ rule, figures }) => {
      current = rule
      setText(title, rule.name)
      setText(hosts, rule.hosts.join(', ') + (rule.pathPrefix === '/' ? '' : rule.pathPrefix))
      setText(origin, `from ${describeOrigin(rule.origin)}`)
      const fresh =
        rule.defaultTtlS === 0 ? '' : `fresh for ${duration(rule.defaultTtlS)} by default`
      setText(served, [describeFigures(figures), fresh].filter(Boolean).join(' · '))
    },
    dispose: () => {},
  }
}
