/** A React component that plays a stream with a swarm. */
import { KairoEngine } from '@kairo/client'
import Hls from 'hls.js'
// biome-ignore lint/correctness/noUndeclaredDependencies: the page's own.
import { useEffect, useRef } from 'react'

const HlsWithKairo = KairoEngine.injectMixin(Hls)

/** @param edge WebSocket URL of the nearest Kairo peer */
export function KairoPlayer({ source, edge }: { source: string; edge: string }) {
  const video = useRef<HTMLVideoElement>(null)
  useEffect(() => {
    if (video.current === null) return
    const hls = new HlsWithKairo({ kairo: { edge } })
    hls.loadSource(source)
    hls.attachMedia(video.current)
    // The swarm ends with the player.
    return () => hls.destroy()
  }, [source, edge])
  return <video ref={video} muted autoPlay playsInline controls />
}
