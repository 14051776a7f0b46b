/** hls.js with a swarm: figures over the picture, a sentence below it, and a switch for the viewer. */
import { KairoEngine } from '@kairo/client'
import { showOverlay } from '@kairo/client/overlay'
import Hls from 'hls.js'

const video = document.querySelector('video') as HTMLVideoElement
const share = document.querySelector<HTMLInputElement>('#share')

const HlsWithKairo = KairoEngine.injectMixin(Hls)
const hls = new HlsWithKairo({
  lowLatencyMode: true,
  kairo: { edges: ['wss://edge1.example/swarm', 'wss://edge2.example/swarm'], uploadKbps: 5_000 },
})
hls.loadSource('https://cdn.example/live/demo/master.m3u8')
hls.attachMedia(video)

const engine = hls.kairoEngine
share?.addEventListener('change', () => engine.setSharing(share.checked))
if (video.parentElement !== null) showOverlay(engine, video.parentElement)
const why = document.querySelector('#why')
engine.addEventListener('onPeerConnect', () => {
  if (why !== null) why.textContent = engine.diagnose()
})
