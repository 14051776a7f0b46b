/** video.js over hls.js: video.js plays the element that hls.js feeds. */
import { KairoEngine } from '@kairo/client'
import Hls from 'hls.js'
// biome-ignore lint/correctness/noUndeclaredDependencies: the page's own.
import videojs from 'video.js'

const element = document.querySelector('video') as HTMLVideoElement
const engine = new KairoEngine({ edge: 'wss://edge.example/swarm' })
const hls = new Hls({ ...engine.getConfigForHlsJs() })
engine.bindHls(hls)
hls.loadSource('https://cdn.example/vod/demo/master.m3u8')
hls.attachMedia(element)

// Its own HLS engine has nothing to load: the element has its source already.
const player = videojs(element, {
  controls: true,
  muted: true,
  html5: { vhs: { overrideNative: false } },
})
player.on('dispose', () => hls.destroy())
