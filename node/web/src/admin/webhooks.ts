/** Who is told of events by signed requests, and whether the telling works. */

import type { Api, WebhookEndpoint } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { smallButton } from './field.ts'
import { emptyLine, section } from './section.ts'
import type { Change } from './streams.ts'

/** Creates the section. */
export function createWebhooks(api: Api, change: Change): Component<readonly WebhookEndpoint[]> {
  const none = emptyLine(
    'Nobody is told of starting streams, recordings and errors. The setting webhookUrls names who is.',
  )
  const test = smallButton('Send a test', () => void change(() => api.testWebhooks()))
  const rows = createKeyedList(h('ul', { class: 'lines' }), {
    key: (endpoint: WebhookEndpoint) => endpoint.host,
    create: createRow,
  })
  return {
    element: section('Webhooks', test, none, rows.element),
    update: (endpoints) => {
      none.hidden = endpoints.length > 0
      test.hidden = endpoints.length === 0
      rows.update(endpoints)
    },
    dispose: rows.dispose,
  }
}

function createRow(): Component<WebhookEndpoint> {
  const dot = h('span', { class: 'dot' })
  const name = h('code')
  const detail = h('span', { class: 'line-detail' })
  return {
    element: h('li', {}, dot, h('div', {}, name, detail)),
    update: (endpoint) => {
      dot.className = endpoint.error === null ? 'dot dot-ok' : 'dot dot-fail'
      setText(name, endpoint.host)
      setText(
        detail,
        [
          `${endpoint.delivered} delivered`,
          endpoint.pending === 0 ? '' : `${endpoint.pending} waiting`,
          endpoint.dropped === 0 ? '' : `${endpoint.dropped} given up`,
          endpoint.error ?? '',
        ]
          .filter(Boolean)
          .join(' · '),
      )
    },
    dispose: () => {},
  }
}
