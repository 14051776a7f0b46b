/** The bar of time: how far playback is, what is loaded, and a picture of the moment under the pointer. */

import { type Component, h, setText } from '../shared/dom.ts'
import { clockTime } from '../shared/format.ts'
import { positionText } from './position-text.ts'
import type { StoryboardPicture } from './storyboard.ts'
import { showPicture } from './thumbnails.ts'
import { isSeekable, shareOf, type Timeline, timeAt } from './timeline.ts'

/** What the bar works on. */
export interface SeekBarInit {
  readonly timeline: () => Timeline
  readonly seek: (timeS: number) => void
  /** Picture of a moment; undefined while there is none. */
  readonly pictureAt: (timeS: number, timeline: Timeline) => StoryboardPicture | undefined
}

/** Width of the picture over the bar, in pixels; less on a narrow stage. */
const pictureWidthPx = 168

/** Nearer to the live edge than this is the live edge, in seconds. */
const edgeS = 3

/** Creates the bar. */
export function createSeekBar(init: SeekBarInit): Component {
  const loaded = h('div', { class: 'seek-loaded' })
  const played = h('div', { class: 'seek-played' })
  const knob = h('div', { class: 'seek-knob' })
  const picture = h('div', { class: 'seek-picture', hidden: true })
  const time = h('span', { class: 'seek-time' })
  const date = h('span', { class: 'seek-date' })
  const tip = h('div', { class: 'seek-tip', hidden: true }, picture, h('div', {}, time, date))
  const element = h(
    'div',
    { class: 'seek', role: 'slider', tabindex: 0, 'aria-label': 'Seek', 'aria-valuemin': 0 },
    h('div', { class: 'seek-track' }, loaded, played),
    knob,
    tip,
  )
  /** Share of the span under the pointer; the one that a drag has reached. */
  let hovered: number | undefined
  let dragged: number | undefined

  const update = () => {
    const timeline = init.timeline()
    element.hidden = !isSeekable(timeline)
    if (element.hidden) return
    const at = dragged ?? playedShare(timeline)
    element.style.setProperty('--played', String(at))
    element.style.setProperty('--loaded', String(shareOf(timeline, timeline.bufferedS)))
    describe(element, timeline, timeAt(timeline, at))
    const shown = dragged ?? hovered
    tip.hidden = shown === undefined
    if (shown !== undefined) showTip(shown, timeline)
  }
  const showTip = (share: number, timeline: Timeline) => {
    const timeS = timeAt(timeline, share)
    setText(time, positionText(timeline, timeS))
    setText(date, dateText(timeline, timeS))
    const widthPx = Math.min(pictureWidthPx, element.clientWidth * 0.42)
    showPicture(picture, init.pictureAt(timeS, timeline), widthPx)
    const half = tip.offsetWidth / 2
    const x = Math.min(Math.max(share * element.clientWidth, half), element.clientWidth - half)
    tip.style.setProperty('left', `${x}px`)
  }
  const shareUnder = (event: PointerEvent) => {
    const box = element.getBoundingClientRect()
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))
  }
  bindPointer(element, {
    hover: (event) => {
      hovered = event === undefined ? undefined : shareUnder(event)
      update()
    },
    drag: (event) => {
      dragged = shareUnder(event)
      update()
    },
    drop: (event) => {
      const timeline = init.timeline()
      if (event !== undefined) init.seek(timeAt(timeline, shareUnder(event)))
      dragged = undefined
      hovered = event?.pointerType === 'mouse' ? hovered : undefined
      update()
    },
  })
  element.addEventListener('keydown', (event) => onKey(event, init))
  return { element, update, dispose: () => {} }
}

/** Playback at the live edge stands at the end of the bar, although the playhead trails what is newest by a moment. */
function playedShare(timeline: Timeline): number {
  const isAtEdge = timeline.live && timeline.endS - timeline.positionS < edgeS
  return isAtEdge ? 1 : shareOf(timeline, timeline.positionS)
}

/** What a pointer does on the bar; `undefined` says that it is gone. */
interface PointerActions {
  readonly hover: (event: PointerEvent | undefined) => void
  readonly drag: (event: PointerEvent) => void
  readonly drop: (event: PointerEvent | undefined) => void
}

function bindPointer(element: HTMLElement, actions: PointerActions): void {
  let dragging = false
  element.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return
    dragging = true
    element.setPointerCapture(event.pointerId)
    actions.drag(event)
  })
  element.addEventListener('pointermove', (event) => {
    if (dragging) actions.drag(event)
    if (event.pointerType === 'mouse') actions.hover(event)
  })
  element.addEventListener('pointerleave', () => actions.hover(undefined))
  element.addEventListener('pointerup', (event) => {
    if (dragging) actions.drop(event)
    dragging = false
  })
  element.addEventListener('pointercancel', () => {
    if (dragging) actions.drop(undefined)
    dragging = false
  })
}

/** The keys of a slider (ARIA Authoring Practices); the arrows left and right are keys of the whole player. */
function onKey(event: KeyboardEvent, init: SeekBarInit): void {
  const timeline = init.timeline()
  const span = timeline.endS - timeline.startS
  const moves: Readonly<Record<string, number>> = {
    Home: timeline.startS,
    End: timeline.endS,
    PageUp: timeline.positionS + span / 10,
    PageDown: timeline.positionS - span / 10,
  }
  const to = moves[event.key]
  if (to === undefined) return
  event.preventDefault()
  event.stopPropagation()
  init.seek(to)
}

function describe(element: HTMLElement, timeline: Timeline, timeS: number): void {
  element.setAttribute('aria-valuemax', String(Math.round(timeline.endS - timeline.startS)))
  element.setAttribute('aria-valuenow', String(Math.round(timeS - timeline.startS)))
  const words = timeline.live
    ? timeline.endS - timeS < 1
      ? 'Live'
      : `${clockTime(timeline.endS - timeS)} behind live`
    : `${clockTime(timeS)} of ${clockTime(timeline.endS)}`
  element.setAttribute('aria-valuetext', words)
}

/** The time of day of a moment of a live stream. */
function dateText({ endDateMs, endS }: Timeline, timeS: number): string {
  if (endDateMs === undefined) return ''
  return new Date(endDateMs - (endS - timeS) * 1_000).toLocaleTimeString()
}
