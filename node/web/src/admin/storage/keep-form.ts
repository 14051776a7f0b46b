/** The form that keeps an object by its name. */

import type { Api } from '../../shared/api.ts'
import { h, setText } from '../../shared/dom.ts'
import { bytes } from '../../shared/format.ts'
import { field, textInput } from '../field.ts'
import { createProblemLine } from '../problem-line.ts'
import type { Change } from '../streams.ts'
import { objectNamed, shortCid } from './kept-words.ts'

/** Creates the form; `onKept` is called when another object is kept. */
export function createKeepForm(api: Api, change: Change, onKept: () => void): HTMLFormElement {
  const name = textInput({ required: true, maxlength: 200, placeholder: 'bafkrei…' })
  const submit = h('button', { class: 'button', type: 'submit' }, 'Keep')
  const problem = createProblemLine()
  const done = h('p', { class: 'row-facts form-wide', role: 'status', hidden: true })
  problem.element.classList.add('form-wide')
  const nameField = field(
    'Object to keep',
    name,
    'Its CID, or its SHA-256 in hex. One that is not here is fetched from other peers first, for half a minute at most.',
  )
  nameField.classList.add('form-wide')
  const keep = async (cid: string) => {
    submit.disabled = true
    setText(submit, 'Keeping…')
    await change(async () => {
      const { bytes: size } = await api.keep(cid)
      setText(done, `${shortCid(cid)} is kept, ${bytes(size)}.`)
      done.hidden = false
      name.value = ''
      onKept()
    }, problem.show)
    submit.disabled = false
    setText(submit, 'Keep')
  }
  const form = h(
    'form',
    { class: 'options-form' },
    nameField,
    problem.element,
    done,
    h('div', { class: 'options-save' }, submit),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const cid = objectNamed(name.value)
    done.hidden = true
    problem.show(cid === undefined ? notAnObject : undefined)
    if (cid === undefined) name.focus()
    else void keep(cid)
  })
  return form
}

const notAnObject =
  'That is no object’s name: a CID has 59 characters and begins with b, a SHA-256 has 64 hex digits. Whole IPFS trees are kept by “kairo ipfs pin”.'
