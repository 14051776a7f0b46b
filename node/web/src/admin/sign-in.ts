/** Asks for the operator token. */

import { Api, ApiError } from '../shared/api.ts'
import { h } from '../shared/dom.ts'
import { icon, logoMark } from '../shared/icon.ts'

/** Creates the form. `onToken` gets a token that the peer has accepted; `notice` says why the form is there. */
export function createSignIn(
  notice: string | undefined,
  onToken: (token: string) => void,
): HTMLElement {
  const field = h('input', {
    class: 'input',
    id: 'token',
    type: 'password',
    autocomplete: 'current-password',
    required: true,
    spellcheck: 'false',
    'aria-describedby': 'token-hint token-error',
  })
  const error = h('p', { id: 'token-error', class: 'field-error', role: 'alert' }, notice)
  const submit = h('button', { class: 'button button-primary', type: 'submit' }, 'Open')
  const form = h(
    'form',
    { class: 'sign-in' },
    h('div', { class: 'sign-in-mark' }),
    h('h1', {}, 'Operator access'),
    h(
      'p',
      { id: 'token-hint' },
      'The token was printed when this peer first started. It is also in the file ',
      h('code', {}, 'operator.token'),
      ' in the peer’s home folder.',
    ),
    h('label', { for: 'token' }, 'Operator token'),
    field,
    error,
    submit,
  )
  form.querySelector('.sign-in-mark')?.append(logoMark())
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const token = field.value.trim()
    submit.disabled = true
    error.replaceChildren()
    try {
      await new Api(token).status()
      onToken(token)
    } catch (cause) {
      error.replaceChildren(icon('alert'), explain(cause))
      field.select()
    } finally {
      submit.disabled = false
    }
  })
  return form
}

function explain(cause: unknown): string {
  if (!(cause instanceof ApiError)) return 'This peer gave a strange answer.'
  return cause.status === 401 || cause.status === 403
    ? 'The peer does not accept this token.'
    : cause.message
}
