/** The library for its operator: rename, captions, try again, delete. */

import type { Api, Library, Video } from '../shared/api.ts'
import { confirmDialog } from '../shared/confirm.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { bytes, clockTime, describeRenditions, shortPeerId } from '../shared/format.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { field, smallButton, textInput } from './field.ts'
import { promptDialog } from './prompt.ts'
import { emptyLine, section } from './section.ts'
import type { Change } from './streams.ts'

/** Creates the section. */
export function createVideos(api: Api, change: Change): Component<Library> {
  const room = h('span', { class: 'block-note' })
  const none = emptyLine('No video yet. Drop a file on the watch page, or record a stream.')
  const rows = createKeyedList(h('ul', { class: 'rows' }), {
    key: (video: Video) => video.id,
    create: (video) => createRow(video.id, api, change),
  })
  return {
    element: section('Videos', room, none, rows.element),
    update: ({ videos, usage }) => {
      none.hidden = videos.length > 0
      setText(room, `${bytes(usage.bytes)} used · ${bytes(usage.bytesFree)} free`)
      rows.update(videos)
    },
    dispose: rows.dispose,
  }
}

function createRow(id: string, api: Api, change: Change): Component<Video> {
  let current: Video | undefined
  const title = h('a', { class: 'row-title', href: `/#/video/${encodeURIComponent(id)}` })
  const facts = h('p', { class: 'row-facts' })
  const problem = h('p', { class: 'row-problem' })
  const filled = h('div')
  const bar = h('div', { class: 'bar', role: 'progressbar', 'aria-label': 'Made so far' }, filled)
  const named = (text: string) => `${text} “${current?.title ?? id}”`
  const act = (label: string, work: () => Promise<void>, style: 'plain' | 'danger' = 'plain') =>
    smallButton(label, () => void work(), style)
  const rename = act('Rename', async () => {
    const input = textInput({ required: true, maxlength: 1_000, value: current?.title ?? '' })
    const agreed = await promptDialog({
      title: named('Rename'),
      fields: [field('Title', input)],
      action: 'Rename',
    })
    if (agreed) await change(() => api.renameVideo(id, input.value.trim()))
  })
  const captions = act('Captions', () => addCaptions(id, named('Captions for'), api, change))
  const retry = act('Try again', () => change(() => api.retryVideo(id)))
  const remove = act(
    'Delete',
    async () => {
      const agreed = await confirmDialog({
        title: named('Delete'),
        text: 'The video and all its renditions are removed from this peer for good.',
        action: 'Delete',
      })
      if (agreed) await change(() => api.deleteVideo(id))
    },
    'danger',
  )
  return {
    element: h(
      'li',
      { class: 'row' },
      h('div', { class: 'row-text' }, h('div', { class: 'row-head' }, title), facts, problem, bar),
      h('div', { class: 'row-actions' }, retry, captions, rename, remove),
    ),
    update: (video) => {
      current = video
      setText(title, video.title)
      setText(facts, describe(video))
      problem.hidden = video.error === null
      setText(problem, video.error?.message ?? '')
      const isOpen = video.state !== 'ready' && video.state !== 'failed'
      bar.hidden = !isOpen
      bar.setAttribute('aria-valuenow', String(Math.floor(video.progress * 100)))
      filled.style.setProperty('width', `${video.progress * 100}%`)
      retry.hidden = video.state !== 'failed'
      const isOwn = video.status === 'origin'
      captions.hidden = video.state !== 'ready' || !isOwn
      rename.hidden = !isOwn
      remove.hidden = !isOwn
      for (const button of [rename, captions, retry, remove]) {
        button.setAttribute('aria-label', `${button.textContent}: ${video.title}`)
      }
    },
    dispose: () => {},
  }
}

async function addCaptions(id: string, title: string, api: Api, change: Change): Promise<void> {
  const file = h('input', { class: 'input', type: 'file', accept: '.vtt,text/vtt', required: true })
  const language = textInput({
    required: true,
    value: navigator.language.split('-')[0] ?? 'en',
    pattern: '[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*',
    maxlength: 35,
  })
  const label = textInput({ maxlength: 64, placeholder: 'English' })
  const agreed = await promptDialog({
    title,
    fields: [
      field('WebVTT file', file),
      field('Language', language, 'A code such as en, de or pt-BR.'),
      field('Name in the menu (optional)', label),
    ],
    action: 'Add captions',
  })
  const chosen = file.files?.[0]
  if (!agreed || chosen === undefined) return
  await change(() => api.addCaptions(id, language.value.trim(), label.value.trim(), chosen))
}

function describe(video: Video): string {
  const states: Readonly<Record<Video['state'], string>> = {
    queued: 'waiting to be made',
    probing: 'being looked at',
    transcoding: `being made, ${Math.floor(video.progress * 100)} %`,
    ready: '',
    failed: 'failed',
  }
  return [
    states[video.state],
    video.durationS > 0 ? clockTime(video.durationS) : '',
    describeRenditions(video),
    bytes(video.bytes),
    video.origin === 'recording' ? 'recording' : '',
    placeOf(video),
    video.captions.length === 0
      ? ''
      : `captions: ${video.captions.map(({ label, language }) => label || language).join(', ')}`,
  ]
    .filter(Boolean)
    .join(' · ')
}

/** Only the peer that has made a video may change it. */
function placeOf({ status, originPeer }: Video): string {
  if (status === 'origin') return ''
  const words = { copied: 'copies here', known: '', away: 'which cannot be reached now' }
  return [`of peer ${shortPeerId(originPeer)}`, words[status]].filter(Boolean).join(', ')
}
