/** Who the peer is and how others reach it. */

import type { Status } from '../shared/api.ts'
import { copyLine } from '../shared/copy.ts'
import { type Component, h } from '../shared/dom.ts'
import { isLoopback, reachableFrom } from '../shared/url.ts'
import { section } from './section.ts'

/** Creates the part about identity and addresses. */
export function createAddresses(): Component<Status> {
  const lines = h('dl', { class: 'address-list' })
  const element = section('This peer', undefined, lines)
  let shown = ''
  return {
    element,
    update: ({ peerId, version, home, addresses }) => {
      const wanted = JSON.stringify([peerId, version, home, addresses])
      if (wanted === shown) return
      shown = wanted
      const line = (name: string, ...values: readonly string[]) => [
        h('dt', {}, name),
        h('dd', {}, ...values.map((value) => copyLine(value, `Copy: ${name}`))),
      ]
      const { network } = addresses
      // The address that this page was loaded by is sure to work from where the operator sits.
      const here = reachableFrom(addresses.http, location.hostname)
      const join = isLoopback(here) ? network.http[0] : here
      lines.replaceChildren(
        ...line('Peer id', peerId),
        ...line('Watch page', ...new Set([here, ...network.http])),
        ...(addresses.rtmp === null
          ? []
          : line(
              'RTMP ingest',
              ...new Set([reachableFrom(addresses.rtmp, location.hostname), ...network.rtmp]),
            )),
        ...(addresses.srt === null
          ? []
          : line(
              'SRT ingest',
              ...new Set([reachableFrom(addresses.srt, location.hostname), ...network.srt]),
            )),
        ...(join === undefined
          ? []
          : line('Join from another machine', `npm start -- --join ${join}`)),
        ...line('Network addresses', ...addresses.multiaddrs),
        h('dt', {}, 'Program'),
        h('dd', { class: 'plain' }, `Kairo ${version}, home `, h('code', {}, home)),
      )
    },
    dispose: () => {},
  }
}
