/** The button that hands on the address of what is played. */

import { copyText } from '../shared/copy.ts'
import { announce, h, setText } from '../shared/dom.ts'
import { icon } from '../shared/icon.ts'

/** How long the button says that it has copied. */
const doneMs = 1_800

/** Creates the button; `title` tells what is shared. */
export function shareButton(title: () => string): HTMLButtonElement {
  const text = h('span', {}, 'Share')
  const button = h('button', { class: 'button', type: 'button' })
  button.append(icon('share'), text)
  button.addEventListener('click', async () => {
    if (!(await shareLink(title(), location.href))) return
    setText(text, 'Link copied')
    announce('Link copied')
    setTimeout(() => setText(text, 'Share'), doneMs)
  })
  return button
}

/** Shares by the device's own sheet on phones, else copies; true when it copied. */
async function shareLink(title: string, url: string): Promise<boolean> {
  const touch = matchMedia('(pointer: coarse)').matches
  if (touch && typeof navigator.share === 'function') {
    try {
      await navigator.share({ title, url })
      return false
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') return false
    }
  }
  return copyText(url)
}
