/** Copying text, also where the page is not a secure context (a peer on the LAN over plain HTTP). */

import { announce, h } from './dom.ts'
import { icon } from './icon.ts'

/** How long a button shows that it has copied. */
const doneMs = 1_600

/** Puts `text` on the clipboard; false when the browser refuses. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // No clipboard API outside secure contexts: the old command still works on a selection.
    const field = h('textarea', { class: 'visually-hidden', readonly: true })
    field.value = text
    document.body.append(field)
    field.select()
    const done = document.execCommand('copy')
    field.remove()
    return done
  }
}

/** A button that copies what `text` returns at that moment. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const button = h('button', {
    class: 'icon-button',
    type: 'button',
    'aria-label': label,
    title: label,
  })
  button.append(icon('copy'))
  button.addEventListener('click', async () => {
    const done = await copyText(text())
    announce(done ? 'Copied' : 'Copying failed')
    if (!done) return
    button.replaceChildren(icon('check'))
    button.toggleAttribute('data-done', true)
    setTimeout(() => {
      button.replaceChildren(icon('copy'))
      button.toggleAttribute('data-done', false)
    }, doneMs)
  })
  return button
}

/** A line of code with its copy button. */
export function copyLine(text: string, label: string, init: { wrap?: boolean } = {}): HTMLElement {
  return h(
    'div',
    { class: init.wrap === true ? 'copy-line wrap' : 'copy-line' },
    h('code', { tabindex: 0 }, text),
    copyButton(label, () => text),
  )
}
