/** Takes files that are dropped anywhere on the page, and those that the person picks. */

import { h } from '../shared/dom.ts'
import { icon } from '../shared/icon.ts'

/** What the browser's file dialog shows at first; the peer looks into each file anyway. */
const accept = 'video/*,audio/*,.mkv,.ts,.m2ts,.flv,.webm,.mov,.mp4,.m4v,.avi,.mpg'

/** How files come in. */
export interface DropZone {
  /** Opens the browser's file dialog. */
  choose(): void
}

/** Listens on the whole page. `allowed` tells at each drag whether files are taken. */
export function createDropZone(
  allowed: () => boolean,
  onFiles: (files: readonly File[]) => void,
): DropZone {
  const veil = h('div', { class: 'drop-veil', hidden: true }, h('div', { class: 'drop-mark' }))
  veil.firstElementChild?.append(
    icon('upload'),
    h('strong', {}, 'Drop to upload'),
    h('span', {}, 'It becomes a video that plays everywhere.'),
  )
  const input = h('input', { type: 'file', multiple: true, accept, hidden: true, tabindex: -1 })
  document.body.append(veil, input)
  const take = (list: FileList | null | undefined) => {
    const files = [...(list ?? [])]
    if (files.length > 0) onFiles(files)
  }
  input.addEventListener('change', () => {
    take(input.files)
    input.value = ''
  })
  // Each element under the pointer enters and leaves by itself; the veil hides when the last one is left.
  let inside = 0
  const show = (by: number) => {
    inside = Math.max(0, inside + by)
    veil.hidden = inside === 0
  }
  const isFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') === true
  window.addEventListener('dragenter', (event) => {
    if (isFiles(event) && allowed()) show(1)
  })
  window.addEventListener('dragleave', (event) => {
    if (isFiles(event)) show(-1)
  })
  window.addEventListener('dragover', (event) => {
    // Without this the browser would leave the page for the file.
    if (isFiles(event)) event.preventDefault()
  })
  window.addEventListener('drop', (event) => {
    if (!isFiles(event)) return
    event.preventDefault()
    inside = 0
    show(0)
    if (allowed()) take(event.dataTransfer?.files)
  })
  return { choose: () => input.click() }
}
