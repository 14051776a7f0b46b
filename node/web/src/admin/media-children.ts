/** The processes with FFmpeg that this peer runs: what each does, and what it takes. */

import type { Status } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { bytes, duration } from '../shared/format.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { emptyLine, section } from './section.ts'

type MediaChild = Status['mediaChildren'][number]

/** Creates the section. */
export function createMediaChildren(): Component<Status> {
  const none = emptyLine('None runs now. They start when something is to be transcoded or sent on.')
  const rows = createKeyedList(h('ul', { class: 'lines' }), {
    key: ({ pid }: MediaChild) => String(pid),
    create: createRow,
  })
  return {
    element: section('Media processes', undefined, none, rows.element),
    update: ({ mediaChildren }) => {
      none.hidden = mediaChildren.length > 0
      rows.update(mediaChildren)
    },
    dispose: rows.dispose,
  }
}

function createRow(): Component<MediaChild> {
  const dot = h('span', { class: 'dot' })
  const name = h('span', { class: 'line-name' })
  const detail = h('span', { class: 'line-detail' })
  // Share of a core since the poll before, from the processor time that the child has taken.
  let last: { readonly cpuS: number; readonly atMs: number } | undefined
  return {
    element: h('li', {}, dot, h('div', {}, name, detail)),
    update: ({ pid, state, job, label, cpuS, rssBytes }) => {
      const atMs = performance.now()
      const spentS = last === undefined ? 0 : cpuS - last.cpuS
      const share = last === undefined ? '' : percent(spentS, (atMs - last.atMs) / 1_000)
      last = { cpuS, atMs }
      dot.className = state === 'working' ? 'dot dot-ok' : 'dot'
      setText(name, job === null ? stateWord(state) : [job, label].filter(Boolean).join(' · '))
      const spent = `${duration(cpuS)} of processor time`
      setText(detail, [`process ${pid}`, share, spent, bytes(rssBytes)].filter(Boolean).join(' · '))
    },
    dispose: () => {},
  }
}

function stateWord(state: string): string {
  return state === 'warm' ? 'warm, waiting for work' : state
}

function percent(spentS: number, passedS: number): string {
  return passedS <= 0 ? '' : `${Math.round((spentS / passedS) * 100)} % of a core`
}
