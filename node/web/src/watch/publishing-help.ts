/** How to publish to this network. Holds no secret, so every visitor may see it. */

import { copyLine } from '../shared/copy.ts'
import { h } from '../shared/dom.ts'

/** RTMP's registered port, the peer's default. */
const rtmpPort = 1935

/** Creates the instructions for a page served from `hostname`. */
export function createPublishingHelp(hostname: string): HTMLElement {
  const server = `rtmp://${hostname}:${rtmpPort}/live`
  return h('div', { class: 'ways' }, ffmpegPanel(server), obsPanel(server))
}

function ffmpegPanel(server: string): HTMLElement {
  const command = [
    'ffmpeg -re -i video.mp4 \\',
    '  -c:v libx264 -preset veryfast \\',
    '  -tune zerolatency -g 60 \\',
    '  -c:a aac -b:a 128k \\',
    `  -f flv ${server}/YOUR-STREAM-KEY`,
  ].join('\n')
  return h(
    'section',
    { class: 'panel' },
    h('h2', {}, 'With FFmpeg'),
    copyLine(command, 'Copy the FFmpeg command'),
    h(
      'p',
      {},
      'Your stream key is on the ',
      h('a', { href: '/admin' }, 'admin page'),
      ' of your peer, and in what it prints when it starts.',
    ),
  )
}

function obsPanel(server: string): HTMLElement {
  const field = (name: string, value: string) => [h('dt', {}, name), h('dd', {}, value)]
  return h(
    'section',
    { class: 'panel' },
    h('h2', {}, 'With OBS Studio'),
    h('p', {}, 'Settings → Stream → Service: Custom'),
    copyLine(server, 'Copy the server address'),
    h(
      'dl',
      { class: 'fields' },
      ...field('Stream key', 'the one on the admin page'),
      ...field('Encoder', 'H.264, keyframe interval 2 s'),
      ...field('Rate control', 'CBR, 2500 to 6000 kbit/s'),
      ...field('Tune', 'zerolatency, no B-frames'),
    ),
  )
}
