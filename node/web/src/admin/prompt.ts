/** Asks for a few values in a dialog that keyboard and screen readers know. */

import { h } from '../shared/dom.ts'

/** The question. */
export interface PromptInit {
  readonly title: string
  readonly fields: readonly HTMLElement[]
  /** What the button that agrees says. */
  readonly action: string
}

/** Resolves to whether the person agreed with fields that are filled in; Escape is a no. */
export function promptDialog(init: PromptInit): Promise<boolean> {
  const cancel = h('button', { class: 'button', type: 'button' }, 'Cancel')
  const agree = h('button', { class: 'button button-primary', value: 'yes' }, init.action)
  const dialog = h(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'prompt-title' },
    h(
      'form',
      { method: 'dialog', class: 'prompt' },
      h('h2', { id: 'prompt-title' }, init.title),
      ...init.fields,
      h('div', { class: 'dialog-actions' }, cancel, agree),
    ),
  )
  cancel.addEventListener('click', () => dialog.close('no'))
  document.body.append(dialog)
  dialog.showModal()
  dialog.querySelector('input')?.focus()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes')
    })
  })
}
