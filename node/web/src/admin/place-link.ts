/** Links between the lines of the admin page that tell of the same peer or stream. */

import { h, setText } from '../shared/dom.ts'

/** Ids of lines: what a link leads to and what it is looked up by. */
export const places = {
  region: 'region',
  peer: (peerId: string) => `peer-${peerId}`,
  member: (peerId: string) => `member-${peerId}`,
  stream: (id: string) => `stream-${id}`,
  owner: (id: string) => `owner-${id}`,
} as const

/** A link to another line. */
export interface PlaceLink {
  readonly element: HTMLAnchorElement
  /** Shows `text`; plain where no such line is on the page now. The first of the places that is there is meant. */
  show(text: string, ...ids: readonly string[]): void
}

/** Creates the link. */
export function createPlaceLink(style = ''): PlaceLink {
  const element = h('a', { class: style === '' ? 'place' : `place ${style}` })
  return {
    element,
    show: (text, ...ids) => {
      setText(element, text)
      const there = ids.find((id) => document.getElementById(id) !== null)
      if (there === undefined) element.removeAttribute('href')
      else if (element.getAttribute('href') !== `#${there}`)
        element.setAttribute('href', `#${there}`)
    },
  }
}
