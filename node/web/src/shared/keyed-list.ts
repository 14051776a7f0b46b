/** A list whose items keep their elements while others come and go around them, and with them focus, videos and open menus. */

import type { Component } from './dom.ts'

/** How a keyed list makes its items. */
export interface KeyedListInit<T> {
  /** What tells items apart. Of two items with one key only the first is shown. */
  readonly key: (item: T) => string
  readonly create: (item: T) => Component<T>
}

/** Fills `element` with one child per item. */
export function createKeyedList<T>(
  element: HTMLElement,
  init: KeyedListInit<T>,
): Component<readonly T[]> {
  const parts = new Map<string, Component<T>>()
  return {
    element,
    update: (items) => {
      const unique = new Map<string, T>()
      for (const item of items) {
        const key = init.key(item)
        if (!unique.has(key)) unique.set(key, item)
      }
      for (const [key, part] of parts) {
        if (unique.has(key)) continue
        part.dispose()
        part.element.remove()
        parts.delete(key)
      }
      let index = 0
      for (const [key, item] of unique) {
        let part = parts.get(key)
        if (part === undefined) {
          part = init.create(item)
          parts.set(key, part)
        }
        part.update(item)
        // Moving an element that is in place already would take its focus and reload its video.
        const place = element.children[index]
        if (place !== part.element) element.insertBefore(part.element, place ?? null)
        index++
      }
    },
    dispose: () => {
      for (const part of parts.values()) part.dispose()
    },
  }
}
