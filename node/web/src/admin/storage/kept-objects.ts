/** Objects that stay until somebody releases them: who keeps each, one more to keep, and the way to let go. */

import type { Api, Keeper, KeptObject } from '../../shared/api.ts'
import { confirmDialog } from '../../shared/confirm.ts'
import { copyButton } from '../../shared/copy.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import { field, select, smallButton } from '../field.ts'
import { createPager, type PagerData } from '../pager.ts'
import { createProblemLine } from '../problem-line.ts'
import { emptyLine } from '../section.ts'
import type { Change } from '../streams.ts'
import { createKeepForm } from './keep-form.ts'
import { describeKept, describeRelease, shortCid } from './kept-words.ts'

/** The part of the page, which asks for what it shows. */
export interface KeptPart extends Component<PagerData<KeptObject>> {
  ask(): Promise<PagerData<KeptObject>>
}

const noneWords: Readonly<Record<string, string>> = {
  operator: 'You keep no object yet.',
  '': 'No object is kept yet.',
}

/** Creates the list and the form. */
export function createKeptObjects(api: Api, change: Change): KeptPart {
  const shown = select([
    ['operator', 'Kept by you'],
    ['', 'Kept by anyone'],
  ])
  const none = emptyLine('')
  const rows = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ cid }: KeptObject) => cid,
    create: ({ cid }) => createLine(cid, api, change),
  })
  const pager = createPager<KeptObject>({
    label: 'Pages of kept objects',
    ask: async ({ limit, after }) => {
      const by = (shown.value as Keeper | '') || undefined
      const { objects, total } = await api.kept({ limit, after: after?.cid, by })
      return { items: objects, total }
    },
    show: ({ items, total }) => {
      none.hidden = total > 0
      setText(none, noneWords[shown.value] ?? '')
      rows.update(items)
    },
  })
  shown.addEventListener('change', pager.restart)
  return {
    element: h(
      'div',
      { class: 'part' },
      h('h3', {}, 'Kept objects'),
      h(
        'p',
        { class: 'row-facts' },
        'A kept object stays until it is released, over restarts too, and comes back from other peers when it is lost. All kept ones together may have nine tenths of the store.',
      ),
      createKeepForm(api, change, pager.restart),
      h('div', { class: 'list-tools' }, field('Show', shown)),
      ...[none, rows.element, pager.element],
    ),
    ask: pager.ask,
    update: pager.update,
    dispose: rows.dispose,
  }
}

function createLine(cid: string, api: Api, change: Change): Component<KeptObject> {
  let by: readonly Keeper[] = []
  const dot = h('span', { class: 'dot' })
  const detail = h('span', { class: 'line-detail' })
  const problem = createProblemLine()
  const ask = async () => {
    const title = `Release ${shortCid(cid)}?`
    if (!(await confirmDialog({ title, text: describeRelease(by), action: 'Release' }))) return
    problem.show()
    await change(() => api.release(cid), problem.show)
  }
  const release = smallButton('Release', () => void ask(), 'danger')
  release.setAttribute('aria-label', `Release ${cid}`)
  return {
    element: h(
      'li',
      {},
      dot,
      h(
        'div',
        { class: 'line-text' },
        h('code', { title: cid }, shortCid(cid)),
        ...[detail, problem.element],
      ),
      h(
        'div',
        { class: 'line-action' },
        copyButton(`Copy the CID ${cid}`, () => cid),
        release,
      ),
    ),
    update: (object) => {
      by = object.by
      dot.className = `dot ${object.bytes === null ? 'dot-warn' : 'dot-ok'}`
      setText(detail, describeKept(object))
      release.hidden = !by.includes('operator')
    },
    dispose: () => {},
  }
}
