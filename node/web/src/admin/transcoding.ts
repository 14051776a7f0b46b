/** What is made of the live streams: rungs with their encoder and lag, what was left out and why, and how much room is left. */

import type { Transcoding } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { bitrate } from '../shared/format.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { emptyLine, section } from './section.ts'

type StreamTranscoding = Transcoding['streams'][number]
type Rung = StreamTranscoding['rungs'][number]

/** Creates the section. */
export function createTranscoding(): Component<Transcoding> {
  const room = h('span', { class: 'block-note' })
  const filled = h('div')
  const bar = h('div', { class: 'bar', role: 'meter', 'aria-label': 'Cores in use' }, filled)
  const none = emptyLine('Nothing is transcoded now. Live streams appear here.')
  const rows = createKeyedList(h('ul', { class: 'rows' }), {
    key: (stream: StreamTranscoding) => stream.stream,
    create: createRow,
  })
  return {
    element: section('Transcoding', room, bar, none, rows.element),
    update: ({ budgetCores, usedCores, headroomCores, streams }) => {
      const share = budgetCores > 0 ? Math.min(1, usedCores / budgetCores) : 0
      setText(room, `${cores(headroomCores)} of ${cores(budgetCores)} cores free`)
      filled.style.setProperty('width', `${share * 100}%`)
      bar.setAttribute('aria-valuenow', String(Math.round(share * 100)))
      none.hidden = streams.length > 0
      rows.update(streams)
    },
    dispose: rows.dispose,
  }
}

function createRow(): Component<StreamTranscoding> {
  const title = h('span', { class: 'row-title' })
  const facts = h('p', { class: 'row-facts' })
  const problem = h('p', { class: 'row-problem' })
  const rungs = h('ul', { class: 'rungs' })
  const dropped = h('ul', { class: 'dropped' })
  let shown = ''
  return {
    element: h(
      'li',
      { class: 'row row-wide' },
      h('div', { class: 'row-text' }, h('div', { class: 'row-head' }, title), facts, problem),
      rungs,
      dropped,
    ),
    update: (stream) => {
      setText(title, stream.stream)
      setText(facts, describe(stream))
      problem.hidden = stream.problem === null
      setText(problem, stream.problem ?? '')
      const wanted = JSON.stringify([stream.rungs, stream.dropped])
      if (wanted === shown) return
      shown = wanted
      rungs.replaceChildren(...stream.rungs.map(rungItem))
      dropped.replaceChildren(
        ...byReason(stream.dropped).map(([reason, names]) => {
          const verb = names.length === 1 ? 'is' : 'are'
          return h('li', {}, h('strong', {}, names.join(', ')), ` ${verb} not made: ${reason}`)
        }),
      )
    },
    dispose: () => {},
  }
}

/** Rungs that are left out for one reason stand on one line. */
function byReason(dropped: StreamTranscoding['dropped']): [reason: string, names: string[]][] {
  const reasons = new Map<string, string[]>()
  for (const { name, reason } of dropped)
    reasons.set(reason, [...(reasons.get(reason) ?? []), name])
  return [...reasons]
}

function rungItem(rung: Rung): HTMLElement {
  const dots = { live: 'dot-ok', behind: 'dot-warn', waiting: 'dot-warn' }
  const words = { live: 'keeps pace', behind: 'behind', waiting: 'waiting' }
  const size = rung.kind === 'video' ? `${rung.width}×${rung.height}` : 'sound'
  const rate = rung.frameRate === null ? '' : `${Math.round(rung.frameRate)} fps`
  const lag = rung.lagMs === null ? '' : `lag ${(rung.lagMs / 1_000).toFixed(1)} s`
  const facts = [size, rate, bitrate(rung.bitrateBps), rung.encoder, lag].filter(Boolean)
  return h(
    'li',
    {},
    h('span', {
      class: `dot ${dots[rung.state]}`,
      role: 'img',
      'aria-label': words[rung.state],
      title: words[rung.state],
    }),
    h('strong', {}, rung.name),
    h('span', { class: 'line-detail' }, facts.join(' · ')),
  )
}

function describe(stream: StreamTranscoding): string {
  const phases: Readonly<Record<StreamTranscoding['phase'], string>> = {
    measuring: 'looking at the source',
    idle: 'nothing to make',
    starting: 'starting',
    running: 'running',
    draining: 'ending',
    failed: 'failed',
    stopped: 'stopped',
  }
  return [
    `preset ${stream.quality}`,
    phases[stream.phase],
    stream.source?.video == null ? '' : sourceText(stream.source.video),
    stream.speed === null ? '' : `${stream.speed.toFixed(2)}× speed`,
    stream.cores === null ? '' : `${cores(stream.cores)} cores`,
    stream.pid === null ? '' : `process ${stream.pid}`,
    stream.restarts === 0 ? '' : `${stream.restarts} restarts`,
  ]
    .filter(Boolean)
    .join(' · ')
}

function sourceText(video: NonNullable<NonNullable<StreamTranscoding['source']>['video']>): string {
  const range = video.videoRange === 'SDR' ? '' : ` ${video.videoRange}`
  return `from ${video.width}×${video.height} ${video.codec}${range}`
}

function cores(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '')
}
