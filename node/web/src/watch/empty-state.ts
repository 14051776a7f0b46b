/** What the wall shows while nothing is live: how to change that. */

import { type Component, h } from '../shared/dom.ts'
import { icon, logoMark } from '../shared/icon.ts'
import { createPublishingHelp, type IngestPorts } from './publishing-help.ts'

/** What the empty state knows. */
export interface EmptyData {
  readonly ports: IngestPorts
  /** Whether the visitor may add videos. */
  readonly mayUpload: boolean
}

/** Creates the empty state for a page served from `hostname`. `choose` lets the visitor pick files. */
export function createEmptyState(hostname: string, choose: () => void): Component<EmptyData> {
  const help = createPublishingHelp(hostname)
  const signal = h('div', { class: 'empty-signal' })
  signal.append(logoMark())
  const drop = h('button', { class: 'drop-hint', type: 'button', hidden: true, onclick: choose })
  drop.append(
    icon('film'),
    h('strong', {}, 'Drop a video here'),
    h('span', {}, 'or choose files. They play in every browser, in several sizes.'),
  )
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
    drop,
    help.element,
  )
  return {
    element,
    update: ({ ports, mayUpload }) => {
      drop.hidden = !mayUpload
      help.update(ports)
    },
    dispose: help.dispose,
  }
}
