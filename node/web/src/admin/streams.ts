/** The network's streams as this peer sees them, with the publishers that push to it. */

import type { Api, Pull, Recording, Status, Stream } from '../shared/api.ts'
import { confirmDialog } from '../shared/confirm.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import {
  bitrate,
  bytes,
  clockTime,
  describeRenditions,
  duration,
  shortPeerId,
} from '../shared/format.ts'
import { icon } from '../shared/icon.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { showBadge } from '../shared/live-badge.ts'
import { createPlaceLink, places } from './place-link.ts'
import { emptyLine, section } from './section.ts'

/** One stream and, when it is pushed to this peer, who pushes it. */
interface StreamRow {
  readonly stream: Stream
  readonly publisher: Status['publishers'][number] | undefined
  readonly recording: Recording | undefined
  readonly pull: Pull | undefined
}

/** The streams, and what this peer does with them. */
export interface StreamsData {
  readonly status: Status
  readonly recordings: readonly Recording[]
  readonly pulls: readonly Pull[]
}

/**
 * Runs a change and shows its failure, by `onProblem` where there is a line for it beside the control; resolves when both are done.
 */
export type Change = (
  work: () => Promise<void>,
  onProblem?: (text: string) => void,
) => Promise<void>

/** Creates the list of streams. */
export function createStreams(api: Api, change: Change): Component<StreamsData> {
  const rows = createKeyedList(h('ul', { class: 'rows' }), {
    key: ({ stream }: StreamRow) => stream.id,
    create: ({ stream }) => createRow(stream, api, change),
  })
  const none = emptyLine('No stream is known in this network yet.')
  return {
    element: section('Streams', undefined, none, rows.element),
    update: ({ status: { streams, publishers }, recordings, pulls }) => {
      none.hidden = streams.length > 0
      rows.update(
        streams.map((stream) => ({
          stream,
          publisher: publishers.find((publisher) => publisher.stream === stream.name),
          recording: recordings.find((recording) => recording.stream === stream.name),
          pull: pulls.find((pull) => pull.stream === stream.name),
        })),
      )
    },
    dispose: rows.dispose,
  }
}

function createRow({ id, name }: Stream, api: Api, change: Change): Component<StreamRow> {
  const badge = h('span')
  const title = h('a', { class: 'row-title', href: `/#/watch/${encodeURIComponent(name)}` })
  const facts = h('p', { class: 'row-facts' })
  const source = h('p', { class: 'row-facts' })
  const lease = createPlaceLink()
  const owned = h('p', { class: 'row-facts', hidden: true }, lease.element)
  const taken = h('p', { class: 'row-facts' })
  let isRecording = false
  const record = h('button', { class: 'button button-small', type: 'button', hidden: true })
  record.addEventListener('click', () => {
    void change(() => api.record(name, isRecording ? 'stop' : 'start'))
  })
  const kick = h('button', {
    class: 'button button-small button-danger',
    type: 'button',
    hidden: true,
  })
  kick.append(icon('unplug'), 'Disconnect')
  kick.addEventListener('click', () => void disconnect(name, api, change))
  const element = h(
    'li',
    { class: 'row', id: places.stream(id) },
    h(
      'div',
      { class: 'row-text' },
      h('div', { class: 'row-head' }, badge, title),
      facts,
      source,
      owned,
      taken,
    ),
    h('div', { class: 'row-actions' }, record, kick),
  )
  return {
    element,
    update: ({ stream, publisher, recording, pull }) => {
      showBadge(badge, stream)
      setText(title, stream.title || stream.name)
      setText(
        facts,
        [stream.name, describeRenditions(stream), viewers(stream)].filter(Boolean).join(' · '),
      )
      setText(
        source,
        publisher === undefined ? describeSource(stream) : describePublisher(publisher),
      )
      source.title = stream.sourcePeer ?? stream.originPeer
      owned.hidden = stream.lease === null
      owned.classList.toggle('is-unsure', stream.lease === 'unconfirmed')
      lease.show(leaseWords[stream.lease ?? 'unconfirmed'], places.owner(id), places.region)
      taken.hidden = recording === undefined && pull === undefined
      setText(taken, [describePull(pull), describeRecording(recording)].filter(Boolean).join(' · '))
      isRecording = recording !== undefined
      record.hidden = publisher === undefined
      setText(record, isRecording ? 'Stop recording' : 'Record')
      record.setAttribute('aria-label', `${record.textContent}: ${name}`)
      kick.hidden = publisher === undefined
      kick.setAttribute('aria-label', `Disconnect the publisher of ${name}`)
    },
    dispose: () => {},
  }
}

const leaseWords = {
  confirmed: 'owned by this peer, as the region says',
  unconfirmed: 'unconfirmed: no region says whose it is',
} as const

async function disconnect(name: string, api: Api, change: Change): Promise<void> {
  const agreed = await confirmDialog({
    title: 'Disconnect the publisher?',
    text: `The connection that pushes “${name}” ends now. Its program may connect again: delete the stream key to keep it out.`,
    action: 'Disconnect',
  })
  if (agreed) await change(() => api.disconnect(name))
}

function describeRecording(recording: Recording | undefined): string {
  if (recording === undefined) return ''
  return `recording, ${clockTime(recording.durationS)}, ${bytes(recording.bytes)}`
}

function describePull(pull: Pull | undefined): string {
  if (pull === undefined) return ''
  const words = {
    connecting: 'connecting to',
    pulling: 'pulled from',
    waiting: 'waiting for',
    failed: 'cannot pull',
    off: 'not pulled from',
  }
  return [`${words[pull.state]} ${pull.host}`, pull.error ?? ''].filter(Boolean).join(': ')
}

function viewers({ viewers: here, regionViewers }: Stream): string {
  // A region that was asked a moment ago may know less than this peer.
  const others = regionViewers !== null && regionViewers > here
  return [here > 0 ? `${here} watching here` : '', others ? `${regionViewers} in the region` : '']
    .filter(Boolean)
    .join(', ')
}

function describePublisher(publisher: Status['publishers'][number]): string {
  const sinceS = (Date.now() - Date.parse(publisher.since)) / 1_000
  const { protocol, remote, bitrateBps } = publisher
  return `${protocol.toUpperCase()} from ${remote} · ${bitrate(bitrateBps)} · for ${duration(sinceS)}`
}

function describeSource(stream: Stream): string {
  const origin = shortPeerId(stream.originPeer)
  const texts: Readonly<Record<Stream['status'], string>> = {
    origin: 'published at this peer',
    known: `published at ${origin}, not followed`,
    connecting: `published at ${origin}, connecting`,
    following: `following ${shortPeerId(stream.sourcePeer ?? stream.originPeer)}`,
    lost: `lost ${shortPeerId(stream.sourcePeer ?? stream.originPeer)}, looking for another`,
  }
  return texts[stream.status]
}
