/** The top of the admin page: what the peer is, how full it is, and what it complains about. */

import type { Status } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { bytes, duration } from '../shared/format.ts'
import { icon } from '../shared/icon.ts'

/** Files of the watched folder that are named; the newest. */
const failuresShown = 3

/** Creates the overview. */
export function createOverview(): Component<Status> {
  const tiles = h('dl', { class: 'tiles' })
  const tile = (name: string) => {
    const value = h('dd', {}, '–')
    const note = h('span')
    tiles.append(h('div', {}, h('dt', {}, name), value, note))
    return (text: string, small: string) => {
      setText(value, text)
      setText(note, small)
    }
  }
  const live = tile('Live streams')
  const publishers = tile('Publishers')
  const viewers = tile('Viewers')
  const peers = tile('Connected peers')
  const memory = tile('Memory store')
  const disk = tile('Disk store')
  const notices = h('div', { class: 'notices' })
  const element = h('div', { class: 'overview' }, notices, tiles)
  return {
    element,
    update: (status) => {
      const { streams, store } = status
      const rate = status.publishers.reduce((sum, { bitrateBps }) => sum + bitrateBps, 0)
      live(String(streams.filter(({ state }) => state === 'live').length), 'in the network')
      publishers(String(status.publishers.length), `${(rate / 1e6).toFixed(1)} Mbit/s in`)
      viewers(String(streams.reduce((sum, stream) => sum + stream.viewers, 0)), 'at this peer')
      peers(String(status.peers.length), `up ${duration(status.uptimeS)}`)
      memory(bytes(store.memoryBytes), share(store.memoryBytes, store.memoryBytesMax))
      disk(bytes(store.diskBytes), share(store.diskBytes, store.diskBytesMax))
      showNotices(notices, complaints(status))
    },
    dispose: () => {},
  }
}

function share(used: number, max: number): string {
  if (max <= 0) return ''
  return `${Math.round((used / max) * 100)} % of ${bytes(max)}`
}

/** What an operator should know at once. */
function complaints(status: Status): string[] {
  const found: string[] = []
  if (status.store.degraded) {
    found.push(
      'The disk refuses to store: parts are kept in memory only. Free space or check the disk.',
    )
  }
  if (status.testStream !== null && status.testStream.error !== null) {
    found.push(`The built-in test stream is ${status.testStream.state}: ${status.testStream.error}`)
  }
  const failures = status.watchFolder?.failures ?? []
  for (const { path, message } of failures.slice(-failuresShown)) {
    found.push(`The watched folder’s file ${path} was not taken: ${message}`)
  }
  found.push(...regionComplaints(status.region))
  for (const join of status.join) {
    if (join.error !== null) found.push(`Joining ${join.target} failed: ${join.error}`)
  }
  return found
}

/** Only what is not over by itself in a moment; the section about the region says what to do. */
function regionComplaints({ name, state, engine, error, isDegraded, conflicts }: Status['region']) {
  const found: string[] = []
  if (state === 'failed') {
    const what = engine === 'etcd' ? 'The etcd of the region' : 'The tracker of this peer'
    found.push(`${what} works no longer: ${error ?? 'no reason is known'}`)
  }
  if (isDegraded) {
    found.push(`The region ${name} has had no quorum for long: nothing is decided in it.`)
  }
  if (conflicts > 0) found.push(`There is another region with the name ${name}.`)
  return found
}

function showNotices(element: HTMLElement, texts: readonly string[]): void {
  const before = [...element.children].map((child) => child.textContent ?? '')
  if (before.join('\n') === texts.join('\n')) return
  element.replaceChildren(
    ...texts.map((text) => {
      const notice = h('p', { class: 'notice', role: 'status' })
      notice.append(icon('alert'), text)
      return notice
    }),
  )
}
