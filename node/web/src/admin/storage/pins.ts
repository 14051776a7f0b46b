/** IPFS trees that stay until they are released. */

import type { Api, Pin } from '../../shared/api.ts'
import { confirmDialog } from '../../shared/confirm.ts'
import { copyButton } from '../../shared/copy.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { bytes, count } from '../../shared/format.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import { smallButton } from '../field.ts'
import { createPager, type PagerData } from '../pager.ts'
import { createProblemLine } from '../problem-line.ts'
import { emptyLine } from '../section.ts'
import type { Change } from '../streams.ts'
import { shortCid } from './kept-words.ts'

/** The part of the page, which asks for what it shows. */
export interface PinsPart extends Component<PagerData<Pin>> {
  ask(): Promise<PagerData<Pin>>
}

/** Creates the list. */
export function createPins(api: Api, change: Change): PinsPart {
  const none = emptyLine('')
  const rows = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ cid }: Pin) => cid,
    create: (pin) => createLine(pin, api, change),
  })
  let isOff = false
  const pager = createPager<Pin>({
    label: 'Pages of IPFS trees',
    ask: async ({ limit, skip }) => {
      const list = await api.pins({ limit, skip })
      isOff = list === undefined
      return { items: list?.pins ?? [], total: list?.total ?? 0 }
    },
    show: ({ items, total }) => {
      none.hidden = total > 0
      setText(none, isOff ? 'IPFS is off: the setting ipfs says so.' : noTree)
      rows.update(items)
    },
  })
  return {
    element: h(
      'div',
      { class: 'part' },
      h('h3', {}, 'IPFS trees'),
      ...[none, rows.element, pager.element],
    ),
    ask: pager.ask,
    update: pager.update,
    dispose: rows.dispose,
  }
}

const noTree =
  'No IPFS tree is kept. Add a file or folder by “kairo ipfs add”, or get one by “kairo ipfs pin”.'

function createLine({ cid }: Pin, api: Api, change: Change): Component<Pin> {
  const name = h('span', { class: 'line-name-plain' })
  const detail = h('span', { class: 'line-detail' })
  const problem = createProblemLine()
  const ask = async () => {
    const agreed = await confirmDialog({
      title: `Release the tree “${name.textContent || shortCid(cid)}”?`,
      text: 'Its blocks go when room is needed, unless another tree has them or you keep them. Nothing else holds what was only added here.',
      action: 'Release tree',
    })
    if (!agreed) return
    problem.show()
    await change(() => api.removePin(cid), problem.show)
  }
  const release = smallButton('Release', () => void ask(), 'danger')
  release.setAttribute('aria-label', `Release the tree ${cid}`)
  return {
    element: h(
      'li',
      {},
      h('span', { class: 'dot dot-ok' }),
      h(
        'div',
        { class: 'line-text' },
        ...[name, h('code', { title: cid }, shortCid(cid)), detail, problem.element],
      ),
      h(
        'div',
        { class: 'line-action' },
        copyButton(`Copy the CID ${cid}`, () => cid),
        release,
      ),
    ),
    update: (pin) => {
      setText(name, pin.name)
      name.hidden = pin.name === ''
      const since = new Date(pin.created).toLocaleDateString()
      setText(detail, `${bytes(pin.bytes)} in ${count(pin.blocks, 'block')} · since ${since}`)
    },
    dispose: () => {},
  }
}
