/** URLs that are read into the cache beforehand, in words, and the order that the form's fields make. */

import type { Fill, FillList } from '../../shared/api.ts'
import { bytes, count, duration } from '../../shared/format.ts'

/** What is shown of the list, and how that is called. */
export const fillChoices: Readonly<Record<Fill['state'] | '', string>> = {
  '': 'All',
  waiting: 'Waiting',
  done: 'Read',
  failed: 'Failed',
}

/** The URLs that were typed, apart by spaces or lines, each once. */
export function urlsOf(text: string): string[] {
  return [...new Set(text.split(/\s+/).filter((url) => url !== ''))]
}

/** Why these cannot be ordered, as a sentence; undefined when they can. */
export function problemOf(urls: readonly string[]): string | undefined {
  if (urls.length === 0) return 'Enter at least one URL.'
  const wrong = urls.find((url) => !/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
  return wrong && `“${wrong.slice(0, 80)}” is no address that begins with http:// or https://.`
}

/** `waits for 01:00–06:00 UTC`, `read, 12.0 MiB`, or what went wrong. */
export function describeFill(fill: Fill): string {
  const { state, between, attempts, problem } = fill
  const tries = count(attempts, 'attempt')
  switch (state) {
    case 'waiting': {
      const wait = between === '' ? 'waits' : `waits for ${between.replace('-', '–')} UTC`
      return attempts === 0 ? wait : `${wait} after ${tries}: ${problem}`
    }
    case 'done':
      return `read, ${bytes(fill.bytes)}`
    case 'failed':
      return `given up after ${tries}: ${problem}`
  }
}

/** `2 waiting · 12 read · 1 failed`; empty when there are none at all. */
export function describeFills({ waiting, done, failed }: Omit<FillList, 'fills'>): string {
  if (waiting + done + failed === 0) return ''
  return `${waiting} waiting · ${done} read · ${failed} failed`
}

/** What UTC is by the clock of this browser, which is `aheadMinutes` ahead of it. */
export function describeUtc(aheadMinutes: number): string {
  if (aheadMinutes === 0) return 'In UTC, which your clock shows too.'
  const by = duration(Math.abs(aheadMinutes) * 60)
  return `In UTC: your clock is ${by} ${aheadMinutes > 0 ? 'ahead' : 'behind'}.`
}
