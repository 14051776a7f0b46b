/** Multivariant playlists. */
import * as HLS from 'hls-parser'
import { Parser } from 'm3u8-parser'
import { test } from 'tap'
import { renderMasterPlaylist } from '../../src/delivery/master-playlist.ts'
import { audioInfo, captionsInfo, videoInfo } from '../support/fake-stream.ts'
import { checkMaster } from '../support/hls-master-checker.ts'

const rung = (name: string, width: number, height: number, bandwidthBps: number) => ({
  ...videoInfo,
  name,
  width,
  height,
  bandwidthBps,
})
const ladder = [
  rung('source', 1920, 1080, 6_000_000),
  rung('720p', 1280, 720, 3_000_000),
  rung('360p', 640, 360, 800_000),
]
const uris = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

test('video and sound', async (t) => {
  const second = { ...audioInfo, name: 'audio-2', bandwidthBps: 192_000 }
  const text = renderMasterPlaylist([videoInfo, audioInfo, second])
  t.equal(
    text,
    [
      '#EXTM3U',
      '#EXT-X-VERSION:6',
      '#EXT-X-INDEPENDENT-SEGMENTS',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/media.m3u8"',
      '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio 2",DEFAULT=NO,AUTOSELECT=NO,CHANNELS="2",URI="audio-2/media.m3u8"',
      '#EXT-X-STREAM-INF:BANDWIDTH=2692000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=30.000,AUDIO="audio",CLOSED-CAPTIONS=NONE',
      'source/media.m3u8',
      '#EXT-X-STREAM-INF:BANDWIDTH=320000,CODECS="mp4a.40.2",AUDIO="audio",CLOSED-CAPTIONS=NONE',
      'audio/media.m3u8',
      '',
    ].join('\n'),
  )
  t.same(checkMaster(text), [])
  const parsed = HLS.parse(text) as HLS.types.MasterPlaylist
  t.equal(parsed.variants[0]?.bandwidth, 2_692_000)
  t.equal(parsed.variants[0]?.audio.length, 2)
  t.same(parsed.variants[0]?.resolution, { width: 1280, height: 720 })
  const parser = new Parser()
  parser.push(text)
  parser.end()
  t.equal(parser.manifest.playlists[0]?.uri, 'source/media.m3u8')
  t.equal(parser.manifest.mediaGroups.AUDIO.audio?.Audio?.default, true)
})

test('video only, of unknown frame rate', async (t) => {
  const text = renderMasterPlaylist([{ ...videoInfo, frameRate: 0 }])
  t.notMatch(text, /AUDIO|FRAME-RATE/)
  t.match(text, /BANDWIDTH=2500000,CODECS="avc1\.64001f",RESOLUTION=1280x720,CLOSED.*\nsource/)
  t.same(checkMaster(text), [])
})

test('sound only', async (t) => {
  const text = renderMasterPlaylist([audioInfo])
  t.equal(
    text.split('\n').slice(3, 5).join('\n'),
    '#EXT-X-STREAM-INF:BANDWIDTH=128000,CODECS="mp4a.40.2",CLOSED-CAPTIONS=NONE\naudio/media.m3u8',
  )
  t.equal((HLS.parse(text) as HLS.types.MasterPlaylist).variants.length, 1)
  t.same(checkMaster(text), [])
})

test('players begin in the middle of the ladder, with a codec that all of them know', async (t) => {
  t.same(uris(renderMasterPlaylist(ladder)), [
    ...['720p/media.m3u8', 'source/media.m3u8', '360p/media.m3u8'],
  ])
  const hevc = { ...(ladder[0] as typeof videoInfo), codecs: 'hvc1.1.6.L93.B0' }
  t.same(uris(renderMasterPlaylist([hevc, ...ladder.slice(1)])), [
    ...['720p/media.m3u8', '360p/media.m3u8', 'source/media.m3u8'],
  ])
  t.same(uris(renderMasterPlaylist([hevc])), ['source/media.m3u8'], 'the only one stands first')
  const fat = rung('source', 1920, 1080, 9_000_000)
  t.same(uris(renderMasterPlaylist([fat])), ['source/media.m3u8'])
})

test('sound in two codecs makes two groups, and every picture a variant of each', async (t) => {
  const opus = { ...audioInfo, name: 'audio-opus', codecs: 'opus' }
  const text = renderMasterPlaylist([...ladder.slice(1), opus, audioInfo])
  t.same(checkMaster(text), [])
  t.match(text, /GROUP-ID="audio",NAME="Audio".*\n.*GROUP-ID="audio-opus",NAME="Audio"/)
  t.match(text, /CODECS="avc1\.64001f,mp4a\.40\.2",RESOLUTION=1280x720.*AUDIO="audio",/)
  t.match(text, /CODECS="avc1\.64001f,opus",RESOLUTION=1280x720.*AUDIO="audio-opus",/)
  t.equal(uris(text).length, 5, 'two pictures by two groups, and sound alone')
})

test('languages, labels and captions', async (t) => {
  const tracks = [
    { ...audioInfo, language: 'de' },
    { ...audioInfo, name: 'audio-2', language: 'de', label: 'The "best"\nseats' },
    { ...audioInfo, name: 'audio-3', language: 'x-not a tag' },
    { ...audioInfo, name: 'audio-4', language: 'de' },
  ]
  const text = renderMasterPlaylist([videoInfo, ...tracks, captionsInfo])
  t.same(checkMaster(text), [])
  t.match(text, /NAME="German",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES/)
  t.match(text, /NAME="The 'best' seats",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=NO/)
  t.match(text, /NAME="x-not a tag"/)
  t.match(text, /NAME="German 2"/)
  t.match(text, /TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",LANGUAGE="en",DEFAULT=NO/)
  t.match(text, /STREAM-INF:.*SUBTITLES="subs"/)
  const parsed = HLS.parse(text) as HLS.types.MasterPlaylist
  t.equal(parsed.variants[0]?.subtitles.length, 1)
})

test('closed captions and HDR are said of those that have them', async (t) => {
  const [best, ...rest] = ladder as [typeof videoInfo, ...(typeof videoInfo)[]]
  const text = renderMasterPlaylist([
    { ...best, closedCaptions: true, videoRange: 'PQ' as const, codecs: 'hvc1.2.4.L123.B0' },
    ...rest,
  ])
  t.same(checkMaster(text), [])
  t.match(text, /TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="CC1".*INSTREAM-ID="CC1"/)
  t.match(text, /RESOLUTION=1920x1080.*VIDEO-RANGE=PQ,CLOSED-CAPTIONS="cc"\nsource/)
  t.match(text, /RESOLUTION=1280x720,FRAME-RATE=30.000,VIDEO-RANGE=SDR\n720p/)
})

test('mean bit rates where they are known', async (t) => {
  const averageBps = new Map([
    ['source', 2_000_000],
    ['audio', 96_000],
  ])
  const text = renderMasterPlaylist([videoInfo, audioInfo], { averageBps })
  t.match(text, /BANDWIDTH=2628000,AVERAGE-BANDWIDTH=2096000/)
  t.same(checkMaster(text), [])
})
