/** Fields of the admin page's forms: a label, its control, and a line that explains. */

import { h } from '../shared/dom.ts'

let count = 0

/** A control with a label above and a hint below. */
export function field(label: string, control: HTMLElement, hint = ''): HTMLElement {
  const id = `field-${++count}`
  control.id = id
  if (hint !== '') control.setAttribute('aria-describedby', `${id}-hint`)
  return h(
    'div',
    { class: 'field' },
    h('label', { for: id }, label),
    control,
    hint === '' ? undefined : h('p', { class: 'field-hint', id: `${id}-hint` }, hint),
  )
}

/** A line of text to type. */
export function textInput(properties: Readonly<Record<string, string | number | boolean>>) {
  return h('input', {
    class: 'input',
    autocomplete: 'off',
    spellcheck: 'false',
    ...properties,
  })
}

/** A list to choose one of. `''` stands for what the peer's settings say. */
export function select(choices: readonly (readonly [value: string, label: string])[]) {
  return h(
    'select',
    { class: 'input' },
    ...choices.map(([value, label]) => h('option', { value }, label)),
  )
}

/** A small button. */
export function smallButton(
  label: string,
  onclick: () => void,
  style: 'plain' | 'danger' = 'plain',
): HTMLButtonElement {
  const more = style === 'danger' ? ' button-danger' : ''
  return h('button', { class: `button button-small${more}`, type: 'button', onclick }, label)
}
