/** The figures under the player. */

import type { Stream } from '../shared/api.ts'
import { type Component, h, setText } from '../shared/dom.ts'
import { bitrate, codecName, mainVideo, shortPeerId } from '../shared/format.ts'
import type { SessionFigures } from './hls-session.ts'

/** What the figures are made of. */
export interface StatsData {
  readonly figures: SessionFigures
  readonly stream: Stream | undefined
}

const none = '–'

/** Creates the row of figures. */
export function createStats(): Component<StatsData> {
  const element = h('dl', { class: 'stats', 'aria-label': 'Playback figures' })
  const figure = (name: string, title: string) => {
    const value = h('dd', {}, none)
    element.append(h('div', { title }, h('dt', {}, name), value))
    return value
  }
  const latency = figure('Latency', 'How far the picture is behind the source')
  const buffer = figure('Buffer', 'Media loaded ahead of the picture')
  const received = figure('Bitrate', 'Sound and picture as received')
  const size = figure('Resolution', 'Size and rate of the picture')
  const codec = figure('Codecs', 'How picture and sound are encoded')
  const dropped = figure('Dropped', 'Frames that this device could not show in time')
  const source = figure('Source peer', 'The peer that this peer receives the stream from')
  return {
    element,
    update: ({ figures, stream }) => {
      setText(latency, figures.latencyS === undefined ? none : `${figures.latencyS.toFixed(1)} s`)
      setText(buffer, `${figures.bufferS.toFixed(1)} s`)
      setText(received, figures.bitrateBps === 0 ? none : bitrate(figures.bitrateBps))
      setText(size, describeSize(figures, stream))
      setText(codec, describeCodecs(stream))
      setText(dropped, figures.totalFrames === 0 ? none : String(figures.droppedFrames))
      setText(source, describeSource(stream))
      source.title = stream?.sourcePeer ?? ''
      source.classList.toggle('mono', describeSource(stream).includes('…'))
    },
    dispose: () => {},
  }
}

function describeSize(figures: SessionFigures, stream: Stream | undefined): string {
  if (figures.width === 0) return none
  const rate = stream === undefined ? undefined : mainVideo(stream)?.frameRate
  const size = `${figures.width}×${figures.height}`
  return rate === undefined || rate === 0 ? size : `${size} · ${Math.round(rate)} fps`
}

function describeCodecs(stream: Stream | undefined): string {
  const media = stream?.renditions.filter(({ kind }) => kind !== 'captions') ?? []
  const codecs = media.flatMap((rendition) => rendition.codecs.split(','))
  return [...new Set(codecs.map(codecName))].filter(Boolean).join(' + ') || none
}

function describeSource(stream: Stream | undefined): string {
  if (stream === undefined) return none
  if (stream.status === 'origin') return 'this peer'
  return stream.sourcePeer === null ? none : shortPeerId(stream.sourcePeer)
}
