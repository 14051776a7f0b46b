/** What stands for a picture that is not there: the mark on a colour that stays with a name. */

import { h } from '../shared/dom.ts'
import { logoMark } from '../shared/icon.ts'

/** Creates the blank of `name`. */
export function blankPicture(name: string): HTMLElement {
  const blank = h('div', { class: 'still-blank' })
  blank.append(logoMark())
  blank.style.setProperty('--hue', String(hueOf(name)))
  return blank
}

function hueOf(name: string): number {
  let hash = 0
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 360
  return hash
}
