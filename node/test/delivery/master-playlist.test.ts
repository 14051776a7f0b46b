/** Multivariant playlists. */
import * as HLS from 'hls-parser'
import { Parser } from 'm3u8-parser'
import { test } from 'tap'
import { renderMasterPlaylist } from '../../src/delivery/master-playlist.ts'
import { audioInfo, videoInfo } from '../support/fake-stream.ts'

test('video and sound', async (t) => {
  const second = { ...audioInfo, name: 'audio-2', bandwidthBps: 192_000 }
  const text = renderMasterPlaylist([videoInfo, audioInfo, second])
  t.equal(
    text,
    [
      '#EXTM3U',
      '#EXT-X-VERSION:6',
      '#EXT-X-INDEPENDENT-SEGMENTS',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/media.m3u8"',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio-2",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="audio-2/media.m3u8"',
      '#EXT-X-STREAM-INF:BANDWIDTH=2692000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=30.000,AUDIO="audio"',
      'source/media.m3u8',
      '',
    ].join('\n'),
  )
  const parsed = HLS.parse(text) as HLS.types.MasterPlaylist
  t.equal(parsed.variants[0]?.bandwidth, 2_692_000)
  t.equal(parsed.variants[0]?.audio.length, 2)
  t.same(parsed.variants[0]?.resolution, { width: 1280, height: 720 })
  const parser = new Parser()
  parser.push(text)
  parser.end()
  t.equal(parser.manifest.playlists[0]?.uri, 'source/media.m3u8')
  t.equal(parser.manifest.mediaGroups.AUDIO.audio?.audio?.default, true)
})

test('video only, of unknown frame rate', async (t) => {
  const text = renderMasterPlaylist([{ ...videoInfo, frameRate: 0 }])
  t.notMatch(text, /AUDIO|FRAME-RATE/)
  t.match(text, /BANDWIDTH=2500000,CODECS="avc1\.64001f",RESOLUTION=1280x720\nsource/)
})

test('sound only', async (t) => {
  const text = renderMasterPlaylist([audioInfo])
  t.equal(
    text.split('\n').slice(3, 5).join('\n'),
    '#EXT-X-STREAM-INF:BANDWIDTH=128000,CODECS="mp4a.40.2"\naudio/media.m3u8',
  )
  t.equal((HLS.parse(text) as HLS.types.MasterPlaylist).variants.length, 1)
})
