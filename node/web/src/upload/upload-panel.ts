/** The list of files on their way, in a corner of the page: first bytes, then the making of the video, then the way to it. */

import { announce, type Component, h, setText } from '../shared/dom.ts'
import { bytes, count, duration } from '../shared/format.ts'
import { icon } from '../shared/icon.ts'
import { createKeyedList } from '../shared/keyed-list.ts'
import { videoHref } from '../watch/route.ts'
import type { UploadItem, UploadQueue } from './upload-queue.ts'

/** Creates the panel of `queue`; it is hidden while the queue is empty. `choose` lets the person pick files. */
export function createUploadPanel(queue: UploadQueue, choose: () => void): Component {
  const title = h('h2', { id: 'uploads-title' })
  const fold = h('button', {
    class: 'icon-button',
    type: 'button',
    'aria-expanded': 'true',
    'aria-label': 'Show the list',
  })
  fold.append(icon('down'))
  const list = createKeyedList(h('ul', { class: 'uploads-list' }), {
    key: (item: UploadItem) => item.key,
    create: (item) => createRow(item, queue, choose),
  })
  const element = h(
    'section',
    { class: 'uploads', 'aria-labelledby': 'uploads-title', hidden: true },
    h('div', { class: 'uploads-head' }, title, fold),
    list.element,
  )
  fold.addEventListener('click', () => {
    list.element.hidden = !list.element.hidden
    fold.setAttribute('aria-expanded', String(!list.element.hidden))
  })
  return {
    element,
    update: () => {
      const { items } = queue
      element.hidden = items.length === 0
      list.update(items)
      setText(title, headline(items))
    },
    dispose: list.dispose,
  }
}

function headline(items: readonly UploadItem[]): string {
  const open = items.filter(({ state }) => state === 'uploading' || state === 'waiting').length
  if (open > 0) return `Uploading ${count(open, 'file')}`
  const making = items.filter(({ state }) => state === 'making').length
  if (making > 0) return `Making ${count(making, 'video')}`
  return 'Uploads'
}

function createRow(
  first: UploadItem,
  queue: UploadQueue,
  choose: () => void,
): Component<UploadItem> {
  const name = h('span', { class: 'upload-name', title: first.name }, first.name)
  const text = h('span', { class: 'upload-text' })
  const filled = h('div')
  const bar = h('div', { class: 'bar', role: 'progressbar', 'aria-label': first.name }, filled)
  const button = (label: string, act: () => void) => {
    const element = h(
      'button',
      { class: 'button button-small', type: 'button', onclick: act },
      label,
    )
    element.setAttribute('aria-label', `${label}: ${first.name}`)
    return element
  }
  const pause = button('Pause', () => queue.pause(first.key))
  const resume = button('Resume', () => queue.resume(first.key))
  const again = button('Choose it again', choose)
  const watch = h('a', { class: 'button button-small button-primary' }, 'Watch')
  const remove = h('button', {
    class: 'icon-button',
    type: 'button',
    onclick: () => void queue.remove(first.key),
  })
  remove.append(icon('close'))
  let said: UploadItem['state'] | undefined
  return {
    element: h(
      'li',
      { class: 'upload' },
      h('div', { class: 'upload-head' }, name, pause, resume, again, watch, remove),
      bar,
      text,
    ),
    update: (item) => {
      const { state, video } = item
      pause.hidden = state !== 'uploading' && state !== 'waiting'
      const canResume = state === 'paused' || (state === 'failed' && video === undefined)
      resume.hidden = !canResume || item.bytes === 0
      again.hidden = state !== 'unfinished'
      watch.hidden = state !== 'ready' || video === undefined
      if (video !== undefined) watch.setAttribute('href', videoHref(video.id))
      const removes = state === 'making' || state === 'ready' || item.problem !== undefined
      remove.setAttribute('aria-label', `${removes ? 'Close' : 'Cancel'}: ${item.name}`)
      remove.title = removes ? 'Close' : 'Cancel'
      setText(text, describe(item))
      text.classList.toggle('upload-problem', item.problem !== undefined)
      const share = shareOf(item)
      bar.hidden = state === 'failed' || state === 'unfinished'
      bar.setAttribute('aria-valuenow', String(Math.floor(share * 100)))
      bar.classList.toggle('bar-second', state === 'making')
      filled.style.setProperty('width', `${share * 100}%`)
      if (state !== said && (state === 'ready' || state === 'failed')) {
        announce(`${item.name}: ${describe(item)}`)
      }
      said = state
    },
    dispose: () => {},
  }
}

function shareOf(item: UploadItem): number {
  if (item.state === 'ready') return 1
  if (item.state === 'making') return item.video?.progress ?? 0
  return item.bytes === 0 ? 0 : item.sentBytes / item.bytes
}

/** What a file is doing, in words. */
function describe(item: UploadItem): string {
  const { state, sentBytes, rate, video } = item
  const sent = `${bytes(sentBytes)} of ${bytes(item.bytes)}`
  if (item.problem !== undefined) return item.problem
  if (state === 'waiting') return `Waiting · ${bytes(item.bytes)}`
  if (state === 'paused') return `Paused · ${sent}`
  if (state === 'ready') return 'Ready to watch'
  if (state === 'unfinished') return 'Not finished last time. Choose the file again to go on.'
  if (state === 'making') return describeMaking(video)
  const left = rate > 0 ? ` · ${duration((item.bytes - sentBytes) / rate)} left` : ''
  return `${sent}${rate > 0 ? ` · ${bytes(rate)}/s` : ''}${left}`
}

function describeMaking(video: UploadItem['video']): string {
  if (video === undefined || video.state === 'queued') return 'Uploaded · waiting to be made'
  if (video.state === 'probing') return 'Uploaded · looking at what is in it'
  const speed = video.speed === null ? '' : ` · ${video.speed.toFixed(1)}× speed`
  const left = video.etaS === null ? '' : ` · ${duration(video.etaS)} left`
  return `Making it play everywhere: ${Math.floor(video.progress * 100)} %${speed}${left}`
}
