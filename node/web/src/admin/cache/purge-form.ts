/** The form that purges cached responses at every peer of the network. */

import type { PurgeReport, PurgeSelector } from '../../shared/api.ts'
import { confirmDialog } from '../../shared/confirm.ts'
import { h, setText } from '../../shared/dom.ts'
import { field, select, textInput } from '../field.ts'
import { purgeKinds, selectorOf } from './purge-words.ts'

/** How the one field is for each kind of purge; `everything` needs none. */
const fields: Readonly<
  Record<Exclude<PurgeSelector['by'], 'everything'>, readonly [type: string, example: string]>
> = {
  url: ['url', 'https://shop.example/logo.svg'],
  tag: ['text', 'sale'],
  prefix: ['url', 'https://shop.example/images/'],
  host: ['text', 'shop.example'],
}

/** Carries a purge out; resolves when it is known what came of it. */
export type Purge = (selector: PurgeSelector, mode: PurgeReport['mode']) => Promise<void>

/** Creates the form. */
export function createPurgeForm(purge: Purge): HTMLFormElement {
  const by = select(Object.entries(purgeKinds))
  const mode = select([
    ['hard', 'Forget'],
    ['soft', 'Make stale'],
  ])
  const value = textInput({ required: true, maxlength: 8_192 })
  const host = textInput({ maxlength: 2_048, placeholder: 'every host' })
  const valueField = field('URL', value)
  const hostField = field('Only at the host', host)
  const submit = h('button', { class: 'button', type: 'submit' }, 'Purge')
  const show = () => {
    const kind = by.value as PurgeSelector['by']
    valueField.hidden = kind === 'everything'
    value.disabled = valueField.hidden
    hostField.hidden = kind !== 'tag'
    if (kind === 'everything') return
    const [type, example] = fields[kind]
    value.type = type
    value.placeholder = example
    setText(valueField.querySelector('label') as HTMLLabelElement, labels[kind])
  }
  by.addEventListener('change', () => {
    value.value = ''
    show()
  })
  show()
  const form = h(
    'form',
    { class: 'options-form' },
    field('What', by),
    valueField,
    hostField,
    field('How', mode, 'Stale responses are served while they are asked for anew.'),
    h('div', { class: 'options-save' }, submit),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const kind = by.value as PurgeSelector['by']
    const work = async () => {
      if (kind === 'everything' && !(await isSure())) return
      submit.disabled = true
      setText(submit, 'Purging…')
      await purge(selectorOf(kind, value.value, host.value), mode.value as PurgeReport['mode'])
      submit.disabled = false
      setText(submit, 'Purge')
    }
    void work()
  })
  return form
}

const labels: Readonly<Record<keyof typeof fields, string>> = {
  url: 'URL',
  tag: 'Tag',
  prefix: 'Beginning of the URLs',
  host: 'Host',
}

function isSure(): Promise<boolean> {
  return confirmDialog({
    title: 'Purge everything?',
    text: 'Every cached response of every site goes, at every peer. The origins are asked for all of it again.',
    action: 'Purge everything',
  })
}
