/** The places that a stream is also sent to. Addresses hold keys, so they are shown by their host only. */

import type { RestreamTarget } from '../../shared/api.ts'
import { confirmDialog } from '../../shared/confirm.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { bitrate, bytes } from '../../shared/format.ts'
import { createKeyedList } from '../../shared/keyed-list.ts'
import { field, smallButton, textInput } from '../field.ts'

/** What can be done about targets. */
export interface TargetsInit {
  readonly add: (name: string, url: string) => Promise<void>
  readonly enable: (name: string, enabled: boolean) => Promise<void>
  readonly remove: (name: string) => Promise<void>
  /** Tries one again at once. */
  readonly retry: (name: string) => Promise<void>
}

/** Creates the list with its form. */
export function createTargets(init: TargetsInit): Component<readonly RestreamTarget[]> {
  const list = createKeyedList(h('ul', { class: 'targets' }), {
    key: (target: RestreamTarget) => target.name,
    create: ({ name }) => createRow(name, init),
  })
  const name = textInput({
    required: true,
    pattern: '[a-z0-9][a-z0-9\\-]{0,31}',
    title: 'Small letters, digits and hyphens',
    placeholder: 'youtube',
  })
  const url = textInput({
    required: true,
    type: 'url',
    pattern: '(rtmp|rtmps|srt)://.+',
    title: 'An address that begins with rtmp://, rtmps:// or srt://',
    placeholder: 'rtmp://a.rtmp.youtube.com/live2/KEY',
  })
  const form = h(
    'form',
    { class: 'target-form' },
    field('Name', name),
    field('Address with its stream key', url),
    h('button', { class: 'button', type: 'submit' }, 'Add target'),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void init.add(name.value, url.value.trim())
    form.reset()
  })
  return {
    element: h('div', { class: 'targets-block' }, h('h3', {}, 'Also sent to'), list.element, form),
    update: list.update,
    dispose: list.dispose,
  }
}

function createRow(name: string, init: TargetsInit): Component<RestreamTarget> {
  let enabled = true
  const dot = h('span', { class: 'dot' })
  const detail = h('span', { class: 'line-detail' })
  const toggle = smallButton('Turn off', () => void init.enable(name, !enabled))
  const retry = smallButton('Try now', () => void init.retry(name))
  const ask = async () => {
    const agreed = await confirmDialog({
      title: `Remove the target “${name}”?`,
      text: 'The stream is not sent there any more, and its address is forgotten.',
      action: 'Remove',
    })
    if (agreed) await init.remove(name)
  }
  const remove = smallButton('Remove', () => void ask(), 'danger')
  for (const [button, what] of [
    [toggle, 'on or off'],
    [retry, 'again'],
    [remove, 'remove'],
  ] as const) {
    button.setAttribute('aria-label', `${button.textContent} (${name}, ${what})`)
  }
  return {
    element: h(
      'li',
      {},
      dot,
      h('div', { class: 'target-text' }, h('span', { class: 'line-name-plain' }, name), detail),
      h('div', { class: 'row-actions' }, retry, toggle, remove),
    ),
    update: (target) => {
      enabled = target.enabled
      const { state } = target
      const dots = {
        sending: 'dot-ok',
        connecting: 'dot-warn',
        waiting: 'dot-warn',
        failed: 'dot-fail',
        off: '',
      }
      dot.className = `dot ${dots[state]}`
      setText(toggle, target.enabled ? 'Turn off' : 'Turn on')
      retry.hidden = state !== 'waiting' && state !== 'failed'
      setText(detail, describe(target))
    },
    dispose: () => {},
  }
}

function describe(target: RestreamTarget): string {
  const { host, state, retries, dropped, error } = target
  if (!target.enabled) return `${host} · off`
  const words = {
    connecting: 'connecting',
    sending: `${bitrate(target.bitrateBps)} · ${bytes(target.bytes)} sent`,
    waiting: `waiting${retries > 0 ? `, tried ${retries} times` : ''}`,
    failed: 'cannot be sent',
    off: 'when the stream is live',
  }
  const slow = dropped > 0 ? `${dropped} pictures dropped` : ''
  return [host, words[state], slow, error ?? ''].filter(Boolean).join(' · ')
}
