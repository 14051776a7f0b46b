/** Full screen and the little window above others, as far as the browser has them. */

import { controlButton, setControl } from './control-button.ts'

const ignore = () => {
  // Refused by the browser or the person: the page stays as it is.
}

/** The button for full screen of `stage` with its bar; phones that allow it for video only get the video. */
export function fullScreenButton(
  stage: HTMLElement,
  video: HTMLVideoElement,
  signal: AbortSignal,
): HTMLButtonElement {
  const button = controlButton('expand', 'Full screen (f)', () => toggle(stage, video))
  document.addEventListener(
    'fullscreenchange',
    () => {
      const on = document.fullscreenElement === stage
      setControl(button, on ? 'shrink' : 'expand', on ? 'Leave full screen (f)' : 'Full screen (f)')
    },
    { signal },
  )
  return button
}

function toggle(stage: HTMLElement, video: HTMLVideoElement): void {
  if (document.fullscreenElement !== null) {
    document.exitFullscreen().catch(ignore)
    return
  }
  if (typeof stage.requestFullscreen === 'function') {
    stage.requestFullscreen().catch(ignore)
    return
  }
  const { webkitEnterFullscreen } = video as { webkitEnterFullscreen?: () => void }
  webkitEnterFullscreen?.call(video)
}

/** The button for picture in picture; hidden where the browser has none. */
export function pictureInPictureButton(
  video: HTMLVideoElement,
  signal: AbortSignal,
): HTMLButtonElement {
  const button = controlButton('pictureInPicture', 'Picture in picture (p)', () => {
    if (document.pictureInPictureElement === video) document.exitPictureInPicture().catch(ignore)
    else video.requestPictureInPicture().catch(ignore)
  })
  button.hidden = document.pictureInPictureEnabled !== true
  const show = () => {
    const on = document.pictureInPictureElement === video
    button.setAttribute('aria-pressed', String(on))
  }
  video.addEventListener('enterpictureinpicture', show, { signal })
  video.addEventListener('leavepictureinpicture', show, { signal })
  return button
}
