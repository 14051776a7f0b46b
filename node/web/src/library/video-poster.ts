/** The picture of a video on its card: one of its storyboard, and others as the pointer moves over it. */

import type { Video } from '../shared/api.ts'
import { type Component, h } from '../shared/dom.ts'
import { blankPicture } from '../watch/blank-picture.ts'

/** The picture that stands still is from this share of the video: the first ones are often black. */
const posterShare = 0.2

/** Creates the picture of `video`; a coloured blank until there is a storyboard. */
export function createVideoPoster(video: Video): Component<Video> {
  const picture = h('div', { class: 'poster', hidden: true })
  const element = h('div', {}, blankPicture(video.id), picture)
  let current = video
  const show = (share: number) => {
    const board = current.storyboard
    const url = current.urls?.storyboard ?? null
    picture.hidden = board === null || url === null || board.count === 0
    if (board === null || url === null) return
    const { columns, rows, count } = board
    const index = Math.min(count - 1, Math.floor(share * count))
    const place = index % (columns * rows)
    const sprite = Math.floor(index / (columns * rows))
    const at = (step: number, steps: number) => (steps > 1 ? `${(step / (steps - 1)) * 100}%` : '0')
    const { style } = picture
    style.setProperty('background-image', `url("${url.replace('.vtt', '')}/${sprite}.jpg")`)
    style.setProperty('background-size', `${columns * 100}% ${rows * 100}%`)
    const x = at(place % columns, columns)
    style.setProperty('background-position', `${x} ${at(Math.floor(place / columns), rows)}`)
    style.setProperty('aspect-ratio', `${board.width} / ${board.height}`)
  }
  element.addEventListener('pointermove', (event) => {
    if (event.pointerType !== 'mouse') return
    const { left, width } = element.getBoundingClientRect()
    show(Math.min(0.999, Math.max(0, (event.clientX - left) / width)))
  })
  element.addEventListener('pointerleave', () => show(posterShare))
  return {
    element,
    update: (next) => {
      const hadBoard = current.storyboard !== null && !picture.hidden
      current = next
      if (!hadBoard) show(posterShare)
    },
    dispose: () => {},
  }
}
