/** How to publish to this network. Holds no secret, so every visitor may see it. */

import { copyLine } from '../shared/copy.ts'
import { type Component, h } from '../shared/dom.ts'

/** Ports of the peer's ingest, null where it has none; undefined while the page does not know yet. */
export type IngestPorts =
  | { readonly rtmpPort: number | null; readonly srtPort: number | null }
  | undefined

/** Creates the instructions for a page served from `hostname`, which are empty until the port is known. */
export function createPublishingHelp(hostname: string): Component<IngestPorts> {
  const element = h('div', { class: 'ways' })
  let shown = ''
  return {
    element,
    update: (ports) => {
      if (ports === undefined || JSON.stringify(ports) === shown) return
      shown = JSON.stringify(ports)
      const { rtmpPort, srtPort } = ports
      const rtmp = `rtmp://${hostname}:${rtmpPort}/live`
      const srt = `srt://${hostname}:${srtPort}?streamid=publish:`
      element.replaceChildren(
        ...(rtmpPort === null ? [] : [ffmpegPanel(rtmp), obsPanel(rtmp)]),
        ...(srtPort === null ? [] : [srtPanel(srt)]),
        ...(rtmpPort === null && srtPort === null ? [offPanel()] : []),
      )
    },
    dispose: () => {},
  }
}

function offPanel(): HTMLElement {
  return h(
    'section',
    { class: 'panel' },
    h('h2', {}, 'This peer takes no streams'),
    h(
      'p',
      {},
      'Its RTMP and SRT ingest are off. Push to another peer of the network, and watch here.',
    ),
  )
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

function srtPanel(server: string): HTMLElement {
  const command = [
    'ffmpeg -re -i video.mp4 \\',
    '  -c:v libx264 -preset veryfast \\',
    '  -tune zerolatency -g 60 \\',
    '  -c:a aac -b:a 128k \\',
    `  -f mpegts "${server}YOUR-STREAM-KEY"`,
  ].join('\n')
  return h(
    'section',
    { class: 'panel' },
    h('h2', {}, 'With SRT'),
    copyLine(command, 'Copy the FFmpeg command for SRT'),
    h(
      'p',
      {},
      'SRT survives lines that lose packets: phones, cameras, other continents. Encoders that ask for a stream id take ',
      h('code', {}, 'publish:YOUR-STREAM-KEY'),
      '.',
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
