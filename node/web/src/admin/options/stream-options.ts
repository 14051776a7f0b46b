/** What the owner of a stream chose for it: quality, recording, DVR, passphrase, pull source, restream targets. */

import type {
  Api,
  Preset,
  RestreamTarget,
  StreamOptions,
  StreamOptionsPatch,
} from '../../shared/api.ts'
import { type Component, h, setText } from '../../shared/dom.ts'
import { count } from '../../shared/format.ts'
import { field, select, textInput } from '../field.ts'
import type { Change } from '../streams.ts'
import { createTargets } from './targets.ts'

/** What the options of one stream are made from. */
export interface StreamOptionsInit {
  readonly api: Api
  readonly change: Change
  readonly name: string
}

/** What changes from outside while the options are open. */
export interface OptionsData {
  readonly presets: readonly Preset[]
  readonly targets: readonly RestreamTarget[]
}

const dvrHint =
  'Seconds that viewers may go back. Empty: as the peer’s settings say; 0: not at all.'

/** Creates the options, folded away; they are loaded when somebody opens them. */
export function createStreamOptions(init: StreamOptionsInit): Component<OptionsData> {
  const { api, change, name } = init
  let options: StreamOptions | undefined
  let data: OptionsData = { presets: [], targets: [] }
  const form = createForm(async (patch) => {
    await change(async () => show(await api.changeOptions(name, patch)))
  })
  const targets = createTargets({
    add: (target, url) => change(() => api.addTarget(name, target, url)),
    enable: (target, enabled) => change(() => api.enableTarget(name, target, enabled)),
    remove: (target) => change(() => api.removeTarget(name, target)),
    retry: (target) => change(() => api.retryTarget(name, target)),
  })
  const summary = h('summary', {}, 'Options')
  const element = h('details', { class: 'options' }, summary, form.element, targets.element)
  const draw = () => {
    targets.update(data.targets)
    setText(summary, `Options${chosen(options, data.targets.length)}`)
    if (options !== undefined) form.update({ options, presets: data.presets })
  }
  const show = (next: StreamOptions) => {
    options = next
    draw()
  }
  element.addEventListener('toggle', () => {
    if (element.open) void change(async () => show(await api.options(name)))
  })
  return {
    element,
    update: (next) => {
      data = next
      draw()
    },
    dispose: targets.dispose,
  }
}

/** ` · 720p · recorded`: what was chosen, for the folded line. */
function chosen(options: StreamOptions | undefined, targets: number): string {
  const { quality, record, dvrWindowS, pullUrl } = options ?? {}
  const parts = [
    quality,
    record === true ? 'recorded' : record === false ? 'not recorded' : undefined,
    dvrWindowS === undefined ? undefined : `${dvrWindowS} s back`,
    targets === 0 ? undefined : `sent to ${count(targets, 'place')}`,
    pullUrl === undefined ? undefined : 'pulled',
  ].filter((part) => part !== undefined)
  return parts.map((part) => ` · ${part}`).join('')
}

interface FormData {
  readonly options: StreamOptions
  readonly presets: readonly Preset[]
}

function createForm(save: (patch: StreamOptionsPatch) => Promise<void>): Component<FormData> {
  const quality = select([['', 'As the peer’s settings say']])
  const explain = h('p', { class: 'field-hint' })
  const record = select([
    ['', 'As the peer’s settings say'],
    ['yes', 'Record every broadcast'],
    ['no', 'Do not record'],
  ])
  const dvr = textInput({ type: 'number', min: 0, max: 86_400, step: 1, inputmode: 'numeric' })
  const passphrase = textInput({ type: 'password', minlength: 10, maxlength: 79 })
  const pull = textInput({
    type: 'url',
    maxlength: 2_000,
    placeholder: 'rtsp://camera.local/stream',
  })
  const submit = h('button', { class: 'button button-primary', type: 'submit' }, 'Save')
  const form = h(
    'form',
    { class: 'options-form' },
    h('div', {}, field('Quality', quality), explain),
    field('Recording', record, 'A recording becomes a video of the library.'),
    field('Rewind', dvr, dvrHint),
    field('SRT passphrase', passphrase, '10 to 79 characters. Empty: none is asked for.'),
    field('Pull from', pull, 'RTSP, RTMP, SRT or HLS address to take the stream from.'),
    h('div', { class: 'options-save' }, submit),
  )
  let presets: readonly Preset[] = []
  let shown = ''
  const describe = () => {
    const preset = presets.find((each) => each.name === quality.value)
    setText(explain, preset === undefined ? '' : preset.description)
  }
  quality.addEventListener('change', describe)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    submit.disabled = true
    const text = (input: HTMLInputElement) =>
      input.value.trim() === '' ? null : input.value.trim()
    const patch: StreamOptionsPatch = {
      quality: quality.value === '' ? null : quality.value,
      record: record.value === '' ? null : record.value === 'yes',
      dvrWindowS: dvr.value === '' ? null : Number(dvr.value),
      srtPassphrase: text(passphrase),
      pullUrl: text(pull),
    }
    void save(patch).finally(() => {
      submit.disabled = false
    })
  })
  return {
    element: form,
    update: (data) => {
      // What is being typed is left alone until the peer has something else.
      const wanted = JSON.stringify([data.options, data.presets.length])
      if (wanted === shown) return
      shown = wanted
      presets = data.presets
      const { options } = data
      quality.replaceChildren(
        ...qualityChoices(presets, options.quality).map(([value, label]) =>
          h('option', { value }, label),
        ),
      )
      quality.value = options.quality ?? ''
      record.value = options.record === undefined ? '' : options.record ? 'yes' : 'no'
      dvr.value = options.dvrWindowS === undefined ? '' : String(options.dvrWindowS)
      passphrase.value = options.srtPassphrase ?? ''
      pull.value = options.pullUrl ?? ''
      describe()
    },
    dispose: () => {},
  }
}

function qualityChoices(
  presets: readonly Preset[],
  chosen: string | undefined,
): readonly (readonly [string, string])[] {
  const names = presets.map(({ name }) => name)
  const more = chosen === undefined || names.includes(chosen) ? [] : [chosen]
  return [
    ['', 'As the peer’s settings say'],
    ...[...names, ...more].map((name) => [name, name] as const),
  ]
}
