/** The form that adds a host rule or changes one. A secret is typed here and never shown again. */

import type { HostRuleView, NewHostRule } from '../../shared/api.ts'
import { confirmDialog } from '../../shared/confirm.ts'
import { h, setText } from '../../shared/dom.ts'
import { field, select, smallButton, textInput } from '../field.ts'
import { emptyRule, type RuleValues, ruleOf, takesPage, valuesOf } from './rule-values.ts'

/** What the form does. */
export interface RuleFormInit {
  /** Puts a rule; whether it was taken. */
  readonly put: (name: string, rule: NewHostRule) => Promise<boolean>
  /** The form was closed, by a rule that was taken or by hand. */
  readonly onClose: () => void
}

/** The form, hidden at first. */
export interface RuleForm {
  readonly element: HTMLFormElement
  /** Shows it: for a new rule, or to change one. */
  open(rule?: HostRuleView): void
  close(): void
}

type Control = HTMLInputElement | HTMLSelectElement
type Controls = Readonly<Record<keyof RuleValues, Control>>

/** Creates the form. */
export function createRuleForm(init: RuleFormInit): RuleForm {
  const controls = createControls()
  const title = h('h3', { class: 'form-wide' })
  const submit = h('button', { class: 'button button-primary', type: 'submit' })
  const origins = originFields(controls)
  const form = h(
    'form',
    { class: 'options-form', hidden: true },
    title,
    field('Name', controls.name, 'For people, metrics and quotas.'),
    field('Hosts', controls.hosts, 'Names apart by spaces: a.example, *.a.example, * for all.'),
    field('Path begins with', controls.pathPrefix, 'Empty: every path.'),
    field('Origin', controls.origin),
    ...Object.values(origins).flat(),
    field('Fresh for', controls.defaultTtl, 'Seconds, where a response says nothing of it.'),
    field('Query', controls.query),
    h(
      'div',
      { class: 'options-save' },
      smallButton('Cancel', () => close()),
      submit,
    ),
  )
  let old: HostRuleView | undefined
  const showOrigin = () => {
    for (const [type, fields] of Object.entries(origins)) {
      for (const each of fields) {
        each.hidden = type !== controls.origin.value
        // What is not shown must not be asked for.
        for (const input of each.querySelectorAll('input')) input.disabled = each.hidden
      }
    }
  }
  const fill = (values: RuleValues) => {
    for (const name of names) controls[name].value = values[name]
    showOrigin()
  }
  const close = () => {
    form.hidden = true
    fill(emptyRule)
    init.onClose()
  }
  controls.origin.addEventListener('change', showOrigin)
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const values = read(controls)
    void save(values.name, ruleOf(values, old), init.put).then((taken) => {
      if (taken) close()
    })
  })
  return {
    element: form,
    open: (rule) => {
      old = rule
      fill(rule === undefined ? emptyRule : valuesOf(rule))
      setText(title, rule === undefined ? 'New host rule' : `Change the rule “${rule.name}”`)
      setText(submit, rule === undefined ? 'Add rule' : 'Save rule')
      controls.name.toggleAttribute('readonly', rule !== undefined)
      form.hidden = false
      form.scrollIntoView({ block: 'nearest' })
      ;(rule === undefined ? controls.name : controls.hosts).focus()
    },
    close,
  }
}

/** Puts the rule, after a second yes when the page itself would be taken by it; the peer wants to be told of it too. */
async function save(name: string, rule: NewHostRule, put: RuleFormInit['put']): Promise<boolean> {
  if (takesPage(rule, location.host)) {
    const agreed = await confirmDialog({
      title: 'The rule is also for this page’s address',
      text: `Requests for ${location.host} go to the origin then. Unless pages and API have a port of their own (the setting adminHttp), neither this page nor “kairo cdn” reaches the peer there any more, until it is started again with that setting.`,
      action: 'Put it all the same',
    })
    return agreed && (await put(name, { ...rule, force: true }))
  }
  return put(name, rule)
}

const names = Object.keys(emptyRule) as (keyof RuleValues)[]

function read(controls: Controls): RuleValues {
  const values = Object.fromEntries(names.map((name) => [name, controls[name].value]))
  return values as unknown as RuleValues
}

function createControls(): Controls {
  return {
    name: textInput({
      ...{ required: true, pattern: '[a-z0-9][a-z0-9\\-]{0,31}', placeholder: 'shop' },
      title: 'Small letters, digits and hyphens, at most 32',
    }),
    hosts: textInput({ required: true, placeholder: 'shop.example www.shop.example' }),
    pathPrefix: textInput({
      ...{ pattern: '/.*', title: 'A path that begins with /', placeholder: '/', maxlength: 1_024 },
    }),
    origin: select([
      ['http', 'Web server'],
      ['folder', 'Folder on the peer’s machine'],
      ['s3', 'S3 bucket'],
    ]),
    url: textInput({ required: true, type: 'url', placeholder: 'https://origin.shop.example' }),
    originHost: textInput({ maxlength: 255, placeholder: 'as in the address' }),
    folder: textInput({ required: true, placeholder: '/srv/files', maxlength: 4_096 }),
    endpoint: textInput({
      ...{ required: true, type: 'url', placeholder: 'https://s3.eu-central-1.amazonaws.com' },
    }),
    region: textInput({ placeholder: 'us-east-1', maxlength: 64 }),
    bucket: textInput({
      ...{ required: true, pattern: '[a-z0-9][a-z0-9.\\-]{1,62}', placeholder: 'media' },
      title: 'Small letters, digits, dots and hyphens',
    }),
    prefix: textInput({ maxlength: 1_024 }),
    accessKeyId: textInput({ maxlength: 128 }),
    secretAccessKey: textInput({ type: 'password', autocomplete: 'new-password', maxlength: 256 }),
    defaultTtl: textInput({
      ...{ type: 'number', min: 0, max: 31_536_000, step: 1, inputmode: 'numeric' },
      placeholder: '0',
    }),
    query: select([
      ['keep', 'Part of the address, as sent'],
      ['sort', 'Part of the address, in any order'],
      ['ignore', 'Of no matter'],
    ]),
  }
}

/** The fields of each kind of origin; only those of the chosen one are shown. */
function originFields(controls: Controls): Readonly<Record<RuleValues['origin'], HTMLElement[]>> {
  return {
    http: [
      field('Address of the origin', controls.url),
      field('Host for the origin', controls.originHost, '“client” passes the client’s on.'),
    ],
    folder: [field('Folder', controls.folder, 'An absolute path.')],
    s3: [
      field('Endpoint', controls.endpoint),
      field('Region', controls.region),
      field('Bucket', controls.bucket),
      field('Prefix', controls.prefix, 'Put before the path.'),
      field('Access key id', controls.accessKeyId, 'Empty: requests are not signed.'),
      field(
        'Secret access key',
        controls.secretAccessKey,
        'Never shown again. Empty: a rule that is changed keeps the one it has.',
      ),
    ],
  }
}
