/** Turns the pages of a list that the peer gives out in parts, so that the page never holds more than one of them. */

import { announce, type Component, h, setText } from '../shared/dom.ts'
import { smallButton } from './field.ts'
import { createProblemLine } from './problem-line.ts'

/** Entries on one page. */
const pageItems = 10

/** What to ask the peer for. */
export interface PageRequest<T> {
  readonly limit: number
  readonly skip: number
  /** The last entry of the page before. */
  readonly after: T | undefined
}

/** One page of a list. */
export interface PageAnswer<T> {
  readonly items: readonly T[]
  /** Entries of all pages. */
  readonly total: number
}

/** An answer, and what was asked for: it may come after the page was turned. */
export interface PagerData<T> {
  readonly request: PageRequest<T>
  readonly answer: PageAnswer<T>
}

/** How a pager works. */
export interface PagerInit<T> {
  /** What the list is called, for screen readers. */
  readonly label: string
  readonly ask: (request: PageRequest<T>) => Promise<PageAnswer<T>>
  readonly show: (answer: PageAnswer<T>) => void
}

/** The buttons below a list; out of sight while all of it is on one page. */
export interface Pager<T> extends Component<PagerData<T>> {
  /** Asks for the page that is shown. */
  ask(): Promise<PagerData<T>>
  /** Asks for the first page and shows it: the list is another one now. */
  restart(): void
}

/** Creates a pager, which shows nothing until the first answer. */
export function createPager<T>(init: PagerInit<T>): Pager<T> {
  /** The last entry of each page before the one that is shown. */
  let lasts: readonly T[] = []
  let request: PageRequest<T> = requestAfter(lasts)
  let last: T | undefined
  const place = h('span', { class: 'pager-place' })
  const problem = createProblemLine()
  const before = smallButton('Previous', () => {
    if (isOn(before)) turn(lasts.slice(0, -1))
  })
  const next = smallButton('Next', () => {
    if (isOn(next) && last !== undefined) turn([...lasts, last])
  })
  const buttons = h(
    'div',
    { class: 'pager', role: 'group', 'aria-label': init.label, hidden: true },
    ...[before, place, next],
  )
  const ask = async () => {
    const asked = request
    return { request: asked, answer: await init.ask(asked) }
  }
  const update = ({ request: asked, answer }: PagerData<T>) => {
    if (asked !== request) return
    const { items, total } = answer
    // The entries of this page are gone: the one before may still have some.
    if (items.length === 0 && lasts.length > 0) return turn(lasts.slice(0, -1))
    last = items.at(-1)
    const end = asked.skip + items.length
    buttons.hidden = total <= pageItems && lasts.length === 0
    setOn(before, lasts.length > 0)
    setOn(next, end < total)
    setText(place, `${asked.skip + 1}–${end} of ${total}`)
    init.show(answer)
  }
  const turn = (to: readonly T[]) => {
    lasts = to
    request = requestAfter(to)
    ask()
      .then((data) => {
        problem.show()
        update(data)
        if (data.request === request) announce(place.textContent ?? '')
      })
      .catch((error: unknown) => problem.show(String((error as Error).message)))
  }
  return {
    element: h('div', { class: 'part pager-part' }, buttons, problem.element),
    ask,
    update,
    restart: () => turn([]),
    dispose: () => {},
  }
}

function requestAfter<T>(lasts: readonly T[]): PageRequest<T> {
  return { limit: pageItems, skip: lasts.length * pageItems, after: lasts.at(-1) }
}

/** A button that is disabled would lose the focus of whoever turned to the last page by keyboard. */
function setOn(button: HTMLButtonElement, isOn: boolean): void {
  button.setAttribute('aria-disabled', String(!isOn))
}

function isOn(button: HTMLButtonElement): boolean {
  return button.getAttribute('aria-disabled') !== 'true'
}
