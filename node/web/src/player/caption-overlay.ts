/** Draws the cues that are due over the picture. Their markup is the browser's own reading of WebVTT, which holds no code. */

import { type Component, h } from '../shared/dom.ts'

/** Creates the overlay for `video`; `cuesAt` tells the cues of a moment. */
export function createCaptionOverlay(
  video: HTMLVideoElement,
  cuesAt: (timeS: number) => readonly VTTCue[],
): Component {
  const top = h('div', { class: 'captions captions-top' })
  const bottom = h('div', { class: 'captions captions-bottom' })
  const element = h('div', { class: 'captions-layer' }, top, bottom)
  let drawn: readonly VTTCue[] = []
  let frame = 0
  const draw = () => {
    const cues = cuesAt(video.currentTime)
    if (cues.length === drawn.length && cues.every((cue, index) => cue === drawn[index])) return
    drawn = cues
    // Captions in the pictures come a row a cue.
    const rows = cues.toSorted((a, b) => lineOf(a) - lineOf(b))
    top.replaceChildren(...rows.filter(isHigh).map(block))
    bottom.replaceChildren(...rows.filter((cue) => !isHigh(cue)).map(block))
  }
  // The element's own time events come four times a second, which is too late for speech.
  const loop = () => {
    draw()
    frame = requestAnimationFrame(loop)
  }
  loop()
  return { element, update: draw, dispose: () => cancelAnimationFrame(frame) }
}

function block(cue: VTTCue): HTMLElement {
  const text = h('span')
  text.append(cue.getCueAsHTML())
  return h('p', {}, text)
}

function lineOf(cue: VTTCue): number {
  return typeof cue.line === 'number' ? cue.line : Number.POSITIVE_INFINITY
}

/** Whether a cue asks to stand in the upper half, as captions do that would hide who speaks. */
function isHigh(cue: VTTCue): boolean {
  if (typeof cue.line !== 'number') return false
  return cue.snapToLines ? cue.line >= 0 && cue.line < 8 : cue.line < 50
}
