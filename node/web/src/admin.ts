/** Entry of the admin page: takes the operator token or asks for it, then shows the dashboard. */

import { createDashboard } from './admin/dashboard.ts'
import { createSignIn } from './admin/sign-in.ts'
import { byId, type Component, h } from './shared/dom.ts'
import { logoMark } from './shared/icon.ts'
import { keepToken, takeToken } from './shared/token.ts'

const main = byId('main')
const dot = h('span', { class: 'dot' })
const reach = h('span', {}, 'connecting')
const pill = h('span', { class: 'pill', hidden: true }, dot, reach)
const signOut = h(
  'button',
  { class: 'button button-small button-quiet', type: 'button', hidden: true },
  'Sign out',
)
let dashboard: Component | undefined

byId('header').append(
  h(
    'a',
    { class: 'brand', href: '/', 'aria-label': 'Kairo, watch page' },
    logoMark(),
    'Kairo',
    h('span', { class: 'brand-section' }, 'Admin'),
  ),
  h('div', { class: 'header-facts' }, pill, signOut),
)
signOut.addEventListener('click', () => {
  keepToken(undefined)
  askForToken(undefined)
})

function open(token: string): void {
  keepToken(token)
  dashboard = createDashboard({
    token,
    onRefused: () => {
      keepToken(undefined)
      askForToken('The peer does not accept the token of this tab any more.')
    },
    onReachable: (reachable) => {
      dot.className = reachable ? 'dot dot-ok' : 'dot dot-fail'
      reach.textContent = reachable ? 'connected' : 'peer unreachable'
    },
  })
  pill.hidden = false
  signOut.hidden = false
  main.replaceChildren(dashboard.element)
}

function askForToken(notice: string | undefined): void {
  dashboard?.dispose()
  dashboard = undefined
  pill.hidden = true
  signOut.hidden = true
  const form = createSignIn(notice, open)
  main.replaceChildren(form)
  form.querySelector('input')?.focus()
}

const token = takeToken()
if (token === undefined) askForToken(undefined)
else open(token)
