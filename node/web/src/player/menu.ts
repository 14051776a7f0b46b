/** The player's menu: a page of settings, and a page of choices for each, used by touch, mouse and keys alike. */

import { type Component, h, setText } from '../shared/dom.ts'
import { icon } from '../shared/icon.ts'
import type { Choice } from './choices.ts'
import { controlButton } from './control-button.ts'

/** One setting of the menu. */
export interface Setting {
  readonly name: string
  /** What is chosen, in few words. */
  readonly value: string
  readonly choices: readonly Choice[]
  readonly choose: (id: string) => void
}

/** The menu with its button. */
export interface Menu extends Component<readonly Setting[]> {
  readonly button: HTMLButtonElement
  readonly isOpen: boolean
  close(): void
}

/** Creates a closed menu. `onOpen` is called before it shows. */
export function createMenu(onOpen: () => void): Menu {
  const element = h('div', { class: 'menu', role: 'menu', 'aria-label': 'Settings', hidden: true })
  const events = new AbortController()
  let settings: readonly Setting[] = []
  let page: string | undefined
  let drawn = ''

  const button = controlButton('settings', 'Settings', () => (element.hidden ? open() : close()))
  button.setAttribute('aria-haspopup', 'menu')
  button.setAttribute('aria-expanded', 'false')
  const open = () => {
    onOpen()
    page = undefined
    element.hidden = false
    button.setAttribute('aria-expanded', 'true')
    draw()
    focusFirst(element)
  }
  const close = () => {
    if (element.hidden) return
    const hadFocus = element.contains(document.activeElement)
    element.hidden = true
    button.setAttribute('aria-expanded', 'false')
    if (hadFocus) button.focus()
  }
  const turn = (to: string | undefined) => {
    page = to
    draw()
    focusFirst(element)
  }
  const draw = () => {
    if (element.hidden) return
    const setting = settings.find(({ name }) => name === page)
    const wanted = JSON.stringify([page, setting ?? settings])
    if (wanted === drawn && element.childElementCount > 0) return
    drawn = wanted
    const at = focusedIndex(element)
    element.replaceChildren(
      ...(setting === undefined
        ? settings.map((each) => settingItem(each, () => turn(each.name)))
        : [
            backItem(setting.name, () => turn(undefined)),
            ...setting.choices.map((choice) =>
              choiceItem(choice, () => {
                setting.choose(choice.id)
                close()
              }),
            ),
          ]),
    )
    if (at >= 0) items(element)[at]?.focus()
  }
  element.addEventListener('keydown', (event) => onKey(event, element, page, { close, turn }))
  document.addEventListener(
    'pointerdown',
    ({ target }) => {
      if (target instanceof Node && !element.contains(target) && !button.contains(target)) close()
    },
    { signal: events.signal },
  )
  return {
    element,
    button,
    get isOpen() {
      return !element.hidden
    },
    close,
    update: (next) => {
      settings = next
      draw()
    },
    dispose: () => events.abort(),
  }
}

function items(element: HTMLElement): HTMLElement[] {
  return [...element.querySelectorAll<HTMLElement>('button')]
}

function focusedIndex(element: HTMLElement): number {
  return items(element).indexOf(document.activeElement as HTMLElement)
}

/** The chosen line, else the first. */
function focusFirst(element: HTMLElement): void {
  const chosen = element.querySelector<HTMLElement>('[aria-checked="true"]')
  ;(chosen ?? items(element)[0])?.focus()
}

function settingItem(setting: Setting, onclick: () => void): HTMLElement {
  const value = h('span', { class: 'menu-value' })
  setText(value, setting.value)
  const item = h('button', { class: 'menu-item', type: 'button', role: 'menuitem', onclick })
  item.setAttribute('aria-haspopup', 'menu')
  item.append(h('span', {}, setting.name), value, icon('forward'))
  return item
}

function backItem(name: string, onclick: () => void): HTMLElement {
  const item = h('button', {
    class: 'menu-item menu-back',
    type: 'button',
    role: 'menuitem',
    onclick,
  })
  item.setAttribute('aria-label', `${name}, back to all settings`)
  item.append(icon('back'), h('span', {}, name))
  return item
}

function choiceItem(choice: Choice, onclick: () => void): HTMLElement {
  const item = h('button', {
    class: 'menu-item menu-choice',
    type: 'button',
    role: 'menuitemradio',
    'aria-checked': String(choice.selected),
    onclick,
  })
  item.append(icon('check'), h('span', {}, choice.label))
  if (choice.detail !== '') item.append(h('span', { class: 'menu-value' }, choice.detail))
  return item
}

function onKey(
  event: KeyboardEvent,
  element: HTMLElement,
  page: string | undefined,
  { close, turn }: { readonly close: () => void; readonly turn: (to: undefined) => void },
): void {
  const all = items(element)
  const at = focusedIndex(element)
  const step = (by: number) => all[(at + by + all.length) % all.length]?.focus()
  const actions: Readonly<Record<string, () => void>> = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Home: () => all[0]?.focus(),
    End: () => all.at(-1)?.focus(),
    ArrowRight: () => {
      if (page === undefined) all[at]?.click()
    },
    ArrowLeft: () => (page === undefined ? close() : turn(undefined)),
    Escape: () => (page === undefined ? close() : turn(undefined)),
    Tab: close,
  }
  const action = actions[event.key]
  // No key of the player works while the menu has the focus; space and Enter press the line.
  event.stopPropagation()
  if (action === undefined) return
  if (event.key !== 'Tab') event.preventDefault()
  action()
}
