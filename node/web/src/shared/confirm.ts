/** Asks before something that cannot be undone, in a dialog that keyboard and screen readers know. */

import { h } from './dom.ts'

/** The question. */
export interface ConfirmInit {
  readonly title: string
  readonly text: string
  /** What the button that agrees says. */
  readonly action: string
}

/** Resolves to whether the person agreed; Escape is a no. */
export function confirmDialog(init: ConfirmInit): Promise<boolean> {
  const cancel = h('button', { class: 'button', value: 'no' }, 'Cancel')
  const agree = h('button', { class: 'button button-danger', value: 'yes' }, init.action)
  const dialog = h(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'dialog-title', 'aria-describedby': 'dialog-text' },
    h(
      'form',
      { method: 'dialog' },
      h('h2', { id: 'dialog-title' }, init.title),
      h('p', { id: 'dialog-text' }, init.text),
      h('div', { class: 'dialog-actions' }, cancel, agree),
    ),
  )
  document.body.append(dialog)
  dialog.showModal()
  cancel.focus()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(dialog.returnValue === 'yes')
    })
  })
}
