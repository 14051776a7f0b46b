/** The player's keys, and the list of them that `?` shows. */

import { h } from '../shared/dom.ts'

/** What keys do. */
export interface KeyActions {
  readonly togglePlay: () => void
  /** Moves by seconds. */
  readonly skip: (seconds: number) => void
  /** Moves to a share of the span, 0 to 1. */
  readonly jump: (share: number) => void
  readonly volume: (by: number) => void
  readonly toggleMute: () => void
  readonly fullScreen: () => void
  readonly theatre: () => void
  readonly captions: () => void
  readonly pictureInPicture: () => void
  /** The next speed up or down. */
  readonly rate: (step: 1 | -1) => void
}

const help: readonly (readonly [keys: string, what: string])[] = [
  ['Space or K', 'Play and pause'],
  ['← →', '5 seconds back and forward'],
  ['J L', '10 seconds back and forward'],
  ['↑ ↓', 'Louder and quieter'],
  ['0 to 9', 'To that tenth of it'],
  ['Home End', 'To the beginning; to the end or live'],
  ['< >', 'Slower and faster'],
  ['M', 'Sound off and on'],
  ['C', 'Captions off and on'],
  ['F', 'Full screen'],
  ['T', 'Theatre'],
  ['P', 'Picture in picture'],
  ['?', 'This list'],
]

/** Listens for the keys on the document until `signal` fires. */
export function bindKeys(actions: KeyActions, signal: AbortSignal): void {
  const keys: Record<string, () => void> = {
    ' ': actions.togglePlay,
    k: actions.togglePlay,
    arrowleft: () => actions.skip(-5),
    arrowright: () => actions.skip(5),
    j: () => actions.skip(-10),
    l: () => actions.skip(10),
    arrowup: () => actions.volume(0.05),
    arrowdown: () => actions.volume(-0.05),
    home: () => actions.jump(0),
    end: () => actions.jump(1),
    m: actions.toggleMute,
    f: actions.fullScreen,
    t: actions.theatre,
    c: actions.captions,
    p: actions.pictureInPicture,
    '<': () => actions.rate(-1),
    '>': () => actions.rate(1),
    '?': showHelp,
  }
  for (let digit = 0; digit <= 9; digit++) keys[digit] = () => actions.jump(digit / 10)
  document.addEventListener('keydown', (event) => onKey(event, keys), { signal })
}

/** Keys that move again while they are held. */
const repeating = new Set(['arrowleft', 'arrowright', 'arrowup', 'arrowdown', 'j', 'l'])

/** Runs a key's action unless the key belongs to a field, a button, a dialog or a browser shortcut. */
function onKey(event: KeyboardEvent, keys: Readonly<Record<string, () => void>>): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
  const key = event.key.toLowerCase()
  if (event.repeat && !repeating.has(key)) return
  const { target } = event
  if (target instanceof Element && target.closest('dialog, select, textarea') !== null) return
  if (target instanceof HTMLInputElement && !(target.type === 'range' && !key.startsWith('arrow')))
    return
  const onControl = target instanceof Element && target.closest('button, a, summary') !== null
  if (key === ' ' && onControl) return
  const action = keys[key]
  if (action === undefined) return
  event.preventDefault()
  action()
}

/** The list of keys. */
function showHelp(): void {
  const close = h('button', { class: 'button button-primary' }, 'Close')
  const dialog = h(
    'dialog',
    { class: 'dialog', 'aria-labelledby': 'keys-title' },
    h(
      'form',
      { method: 'dialog' },
      h('h2', { id: 'keys-title' }, 'Keys of the player'),
      h(
        'dl',
        { class: 'keys' },
        ...help.flatMap(([keys, what]) => [h('dt', {}, h('kbd', {}, keys)), h('dd', {}, what)]),
      ),
      h('div', { class: 'dialog-actions' }, close),
    ),
  )
  // In full screen only what is inside the full-screen element shows, and the top layer is inside.
  document.body.append(dialog)
  dialog.showModal()
  close.focus()
  dialog.addEventListener('close', () => dialog.remove())
}
