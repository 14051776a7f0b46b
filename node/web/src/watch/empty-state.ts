/** What the wall shows while nothing is live: how to change that. */

import { type Component, h } from '../shared/dom.ts'
import { logoMark } from '../shared/icon.ts'
import { createPublishingHelp, type RtmpPort } from './publishing-help.ts'

/** Creates the empty state for a page served from `hostname`. */
export function createEmptyState(hostname: string): Component<RtmpPort> {
  const help = createPublishingHelp(hostname)
  const signal = h('div', { class: 'empty-signal' })
  signal.append(logoMark())
  const element = h(
    'div',
    { class: 'empty' },
    h(
      'div',
      { class: 'empty-head' },
      signal,
      h('h1', {}, 'Nothing is live right now'),
      h(
        'p',
        {},
        'Push a stream to any peer of this network and it appears here by itself, on every peer.',
      ),
    ),
    help.element,
  )
  return { element, update: help.update, dispose: help.dispose }
}
