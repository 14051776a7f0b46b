/** One button of the player's bar: an icon, a name, and the key that does the same. */

import { h } from '../shared/dom.ts'
import { type IconName, icon } from '../shared/icon.ts'

/** Creates a button. A key at the end of `label`, as in `Mute (m)`, is for the tooltip only. */
export function controlButton(
  name: IconName,
  label: string,
  onclick: () => void,
): HTMLButtonElement {
  const button = h('button', { class: 'control', type: 'button', onclick })
  setControl(button, name, label)
  return button
}

/** Gives a button another icon and name. */
export function setControl(button: HTMLButtonElement, name: IconName, label: string): void {
  if (button.title === label) return
  button.replaceChildren(icon(name))
  button.title = label
  button.setAttribute('aria-label', label.replace(/ \(\S+\)$/, ''))
}
