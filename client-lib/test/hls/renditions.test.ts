// Which rendition a player's numbers mean.
import type { MediaPlaylist } from 'hls.js'
import { test } from 'tap'
import { renditionOf, sourceOfContext, type Tracks } from '../../src/hls/renditions.ts'
import { contextOf, levelOf } from '../support/hls-parts.ts'

const track = (id: number, attrs: Record<string, string>): MediaPlaylist =>
  ({ id, attrs }) as unknown as MediaPlaylist

const tracks: Tracks = {
  levels: [
    levelOf({ BANDWIDTH: '2000000', CODECS: 'avc1.64001f,mp4a.40.2', AUDIO: 'a' }, 720),
    levelOf({ BANDWIDTH: '800000', CODECS: 'avc1.64001f,mp4a.40.2', AUDIO: 'a' }, 360),
  ],
  allAudioTracks: [
    track(3, { 'GROUP-ID': 'a', NAME: 'English', LANGUAGE: 'en' }),
    track(5, { 'GROUP-ID': 'a', NAME: 'Deutsch', LANGUAGE: 'de' }),
  ],
}

test('levels by their number, sound by its id, subtitles not at all', async (t) => {
  const names = [
    renditionOf(tracks, 'main', 0),
    renditionOf(tracks, 'main', 1),
    renditionOf(tracks, 'audio', 3),
    renditionOf(tracks, 'audio', 5),
  ]
  t.equal(new Set(names).size, 4)
  t.match(names, [/^m720_/, /^m360_/, /^a_/, /^a_/])
  t.equal(renditionOf(tracks, 'main', 2), undefined)
  t.equal(renditionOf(tracks, 'audio', 0), undefined)
  t.equal(renditionOf(tracks, 'subtitle', 3), undefined)
  t.equal(renditionOf(undefined, 'main', 0), undefined)
})

test('another order of the levels, another host: the same name', async (t) => {
  const turned = { ...tracks, levels: [...tracks.levels].reverse() }
  t.equal(renditionOf(turned, 'main', 1), renditionOf(tracks, 'main', 0))
})

test('a playlist without a master has a name, too', async (t) => {
  t.match(renditionOf({ levels: [levelOf({}, 0)], allAudioTracks: [] }, 'main', 0), /^m_/)
})

test('the place of what a loader was asked for', async (t) => {
  const name = renditionOf(tracks, 'main', 1)
  const context = contextOf({ level: 1, sn: 12, range: [100, 250] })
  t.match(sourceOfContext(tracks, context), {
    ...{ key: `${name}/12`, url: 'https://origin.example/v/12.m4s', range: { from: 100, to: 250 } },
  })
  t.equal(
    sourceOfContext(tracks, contextOf({ part: 0 }))?.key,
    `${renditionOf(tracks, 'main', 0)}/7.0`,
  )
  t.equal(sourceOfContext(tracks, contextOf({ sn: 'initSegment' })), undefined)
  t.match(sourceOfContext(tracks, contextOf({ type: 'audio', level: 3 }))?.key, /^a_.*\/7$/)
  const part = contextOf({ type: 'audio', level: 3, part: 1 })
  t.equal(sourceOfContext(tracks, part), undefined, 'parts of sound are too small')
})
