/** Stream keys: who may publish under which name. A key is shown only when asked for. */

import type { Api, Preset, Restreaming, StreamKey } from '../shared/api.ts'
import { confirmDialog } from '../shared/confirm.ts'
import { copyButton } from '../shared/copy.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { icon } from '../shared/icon.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { reachableFrom } from '../shared/url.ts'
import { createStreamOptions } from './options/stream-options.ts'
import { emptyLine, section } from './section.ts'
import type { Change } from './streams.ts'

/** The keys, and what belongs to their streams. */
export interface KeysData {
  readonly keys: readonly StreamKey[]
  readonly presets: readonly Preset[]
  readonly restreaming: readonly Restreaming[]
}

interface KeyRow extends Omit<KeysData, 'keys'> {
  readonly key: StreamKey
}

/** Creates the list of keys and the form for a new one. */
export function createKeys(api: Api, change: Change): Component<KeysData> {
  const rows = createKeyedList(h('ul', { class: 'rows' }), {
    key: ({ key }: KeyRow) => key.id,
    create: ({ key }) => createRow(key, api, change),
  })
  const none = emptyLine('No stream key yet. Create one to publish.')
  const form = createForm(api, change)
  const add = h('button', {
    class: 'button button-small',
    type: 'button',
    'aria-expanded': 'false',
  })
  add.append(icon('plus'), 'New key')
  add.addEventListener('click', () => {
    form.hidden = !form.hidden
    add.setAttribute('aria-expanded', String(!form.hidden))
    if (!form.hidden) form.querySelector('input')?.focus()
  })
  return {
    element: section('Stream keys', add, form, none, rows.element),
    update: ({ keys, ...rest }) => {
      none.hidden = keys.length > 0
      rows.update(keys.map((key) => ({ key, ...rest })))
    },
    dispose: rows.dispose,
  }
}

function createForm(api: Api, change: Change): HTMLFormElement {
  const name = h('input', {
    class: 'input',
    id: 'key-name',
    required: true,
    maxlength: 64,
    pattern: '[a-z0-9][a-z0-9\\-]*',
    title: 'Small letters, digits and hyphens',
    placeholder: 'main-stage',
    autocomplete: 'off',
    spellcheck: 'false',
  })
  const title = h('input', {
    class: 'input',
    id: 'key-title',
    maxlength: 200,
    placeholder: 'Main stage',
    autocomplete: 'off',
  })
  const form = h(
    'form',
    { class: 'key-form', hidden: true },
    h('div', {}, h('label', { for: 'key-name' }, 'Name, as in the address'), name),
    h('div', {}, h('label', { for: 'key-title' }, 'Title for viewers (optional)'), title),
    h('button', { class: 'button button-primary', type: 'submit' }, 'Create key'),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void change(async () => {
      await api.createKey(name.value, title.value.trim())
      form.reset()
      name.focus()
    })
  })
  return form
}

function createRow(key: StreamKey, api: Api, change: Change): Component<KeyRow> {
  let current = key
  const title = h('span', { class: 'row-title' })
  const facts = h('p', { class: 'row-facts' })
  const url = createSecret('Push address', () =>
    reachableFrom(current.pushUrl ?? '', location.hostname),
  )
  const srt = createSecret('SRT address', () =>
    reachableFrom(current.srtUrl ?? '', location.hostname),
  )
  const secret = createSecret('Stream key', () => current.streamKey)
  const options = createStreamOptions({ api, change, name: key.name })
  const remove = h('button', { class: 'button button-small button-danger', type: 'button' })
  remove.append(icon('trash'), 'Delete')
  remove.setAttribute('aria-label', `Delete the key ${key.name}`)
  remove.addEventListener('click', () => void deleteKey(current.name, api, change))
  const element = h(
    'li',
    { class: 'row row-key' },
    h('div', { class: 'row-text' }, h('div', { class: 'row-head' }, title), facts),
    h('div', { class: 'row-actions' }, remove),
    h('div', { class: 'secrets' }, url.element, srt.element, secret.element),
    options.element,
  )
  return {
    element,
    update: ({ key: next, presets, restreaming }) => {
      current = next
      const targets = restreaming.find(({ stream }) => stream === next.name)?.targets ?? []
      options.update({ presets, targets })
      setText(title, next.title || next.name)
      setText(facts, next.builtIn ? `${next.name} · built-in test stream` : next.name)
      remove.hidden = next.builtIn
      url.element.hidden = next.pushUrl === null
      srt.element.hidden = next.srtUrl === null
      url.update()
      srt.update()
      secret.update()
    },
    dispose: options.dispose,
  }
}

/** A hidden text that can be shown and copied; copying does not need showing. */
function createSecret(name: string, read: () => string): Component {
  const value = h('code', {})
  let revealed = false
  const reveal = h('button', { class: 'icon-button', type: 'button' })
  const show = () => {
    setText(value, revealed ? read() : '••••••••••••••••')
    reveal.replaceChildren(icon(revealed ? 'eyeOff' : 'eye'))
    reveal.title = revealed ? `Hide: ${name}` : `Show: ${name}`
    reveal.setAttribute('aria-label', reveal.title)
  }
  reveal.addEventListener('click', () => {
    revealed = !revealed
    show()
  })
  show()
  return {
    element: h(
      'div',
      { class: 'secret' },
      h('span', { class: 'secret-name' }, name),
      h('div', { class: 'copy-line' }, value, reveal, copyButton(`Copy: ${name}`, read)),
    ),
    update: () => {
      if (revealed) setText(value, read())
    },
    dispose: () => {},
  }
}

async function deleteKey(name: string, api: Api, change: Change): Promise<void> {
  const agreed = await confirmDialog({
    title: `Delete the key “${name}”?`,
    text: 'Whoever publishes with it is disconnected. The stream’s identity is lost: a new key of the same name is another stream.',
    action: 'Delete key',
  })
  if (agreed) await change(() => api.deleteKey(name))
}
