/** What is read into the cache before anybody asks for it: ordered here, and listed with what became of it. */

import type { Api, Fill, FillList } from '../../shared/api.ts'
import { confirmDialog } from '../../shared/confirm.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import { field, select, smallButton } from '../field.ts'
import { createPager, type PagerData } from '../pager.ts'
import { createProblemLine } from '../problem-line.ts'
import { emptyLine } from '../section.ts'
import type { Change } from '../streams.ts'
import { createFillForm } from './fill-form.ts'
import { describeFill, describeFills, fillChoices } from './fill-words.ts'

/** The part of the page, which asks for what it shows. */
export interface FillsPart extends Component<PagerData<Fill>> {
  ask(): Promise<PagerData<Fill>>
}

/** Creates the form and the list. */
export function createFills(api: Api, change: Change): FillsPart {
  const shown = select(Object.entries(fillChoices))
  const note = h('p', { class: 'row-facts' })
  const none = emptyLine('')
  const problem = createProblemLine()
  const clear = smallButton('Clear the list', () => void clearAll(), 'danger')
  const tools = h('div', { class: 'list-tools' }, field('Show', shown), clear)
  const rows = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ url }: Fill) => url,
    create: () => createLine(api, change),
  })
  let counts: FillList | undefined
  const pager = createPager<Fill>({
    label: 'Pages of the list of URLs',
    ask: async ({ limit, skip }) => {
      const state = (shown.value as Fill['state'] | '') || undefined
      counts = await api.fills({ limit, skip, state })
      const { fills, waiting, done, failed } = counts
      return { items: fills, total: state ? counts[state] : waiting + done + failed }
    },
    show: ({ items, total }) => {
      const all = counts === undefined ? '' : describeFills(counts)
      setText(note, all)
      tools.hidden = note.hidden = all === ''
      none.hidden = total > 0
      setText(none, all === '' ? 'No URL was ordered yet.' : 'No URL of the list is in this state.')
      rows.update(items)
    },
  })
  shown.addEventListener('change', pager.restart)
  const form = createFillForm(async (urls, between, line) => {
    let taken = false
    await change(async () => {
      await api.orderFills(urls, between)
      taken = true
    }, line.show)
    if (taken) pager.restart()
    return taken
  })
  const clearAll = async () => {
    const agreed = await confirmDialog({
      title: 'Clear the list?',
      text: 'What waits is not read any more. What was read stays in the cache, and what is being read now is read to its end.',
      action: 'Clear the list',
    })
    if (!agreed) return
    problem.show()
    await change(() => api.clearFills(), problem.show)
    pager.restart()
  }
  return {
    element: h(
      'div',
      { class: 'part' },
      h('h3', {}, 'Read into the cache beforehand'),
      h(
        'p',
        { class: 'row-facts' },
        'This peer reads the URLs through its own cache, two at a time, so that the first visitor finds them there. The rules above decide what may stay; of a playlist the playlist comes, not the media.',
      ),
      ...[form, note, tools, problem.element, none, rows.element, pager.element],
    ),
    ask: pager.ask,
    update: pager.update,
    dispose: rows.dispose,
  }
}

function createLine(api: Api, change: Change): Component<Fill> {
  let current: Fill | undefined
  const dot = h('span', { class: 'dot' })
  const name = h('code')
  const detail = h('span', { class: 'line-detail' })
  const problem = createProblemLine()
  const again = async () => {
    if (current === undefined) return
    const { url, between } = current
    problem.show()
    await change(() => api.orderFills([url], between), problem.show)
  }
  const retry = smallButton('Try again', () => void again())
  return {
    element: h(
      'li',
      {},
      dot,
      h('div', { class: 'line-text' }, name, detail, problem.element),
      h('div', { class: 'line-action' }, retry),
    ),
    update: (fill) => {
      current = fill
      const ends = { waiting: '', done: ' dot-ok', failed: ' dot-fail' }
      dot.className = `dot${ends[fill.state]}`
      setText(name, fill.url)
      setText(detail, describeFill(fill))
      retry.hidden = fill.state !== 'failed'
      retry.setAttribute('aria-label', `Try again: ${fill.url}`)
    },
    dispose: () => {},
  }
}
