/** Builds elements without markup: text from data can never become code, and the strict content policy holds. */

/** An attribute value, or a listener under a name that begins with `on`. */
type Property =
  | string
  | number
  | boolean
  | undefined
  // biome-ignore lint/suspicious/noExplicitAny: each listener takes its own kind of event.
  | ((event: any) => void)

/** What an element may hold; `undefined` is left out. */
export type Child = Node | string | undefined

/** A part of a page: its root element, and how it takes new data and ends. */
export interface Component<T = void> {
  readonly element: HTMLElement
  /** Shows `data`. */
  update(data: T): void
  /** Stops timers, requests and players. */
  dispose(): void
}

/** Creates an HTML element. `true` sets an empty attribute; `false` and `undefined` set none. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Readonly<Record<string, Property>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue
    if (typeof value === 'function') element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...children.filter((child) => child !== undefined))
  return element
}

/** Sets an element's text only when it differs, so that selections and screen readers are left alone. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** The element with this id, which the page's own markup holds. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no element #${id}`)
  return element
}

/** Says `text` to screen readers. */
export function announce(text: string): void {
  setText(byId('announcer'), text)
}
