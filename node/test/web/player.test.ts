// The parts of the player that need no browser: pictures for scrubbing, cues, times, choices.
import { test } from 'tap'
import { levelName, renditionOf } from '../../web/src/player/choices.ts'
import { CueList } from '../../web/src/player/cue-list.ts'
import { describeError } from '../../web/src/player/describe-error.ts'
import { positionText } from '../../web/src/player/position-text.ts'
import { playerSettings } from '../../web/src/player/settings-menu.ts'
import { parseStoryboard, pictureAt } from '../../web/src/player/storyboard.ts'
import { isSeekable, shareOf, timeAt } from '../../web/src/player/timeline.ts'

const video = {
  ...{ live: false, startS: 0, endS: 100, positionS: 25, bufferedS: 40, endDateMs: undefined },
}

test('a storyboard of sprites is read', async (t) => {
  const text = [
    'WEBVTT',
    '',
    '00:00:00.000 --> 00:00:02.000',
    'storyboard/0.jpg#xywh=0,0,160,90',
    '',
    '01:00:02.500 --> 01:00:04.000',
    'storyboard/0.jpg#xywh=160,90,160,90',
    '',
    '01:00:04.000 --> 01:00:05.000',
    'https://elsewhere.example/x.jpg#xywh=0,0,1,1',
  ].join('\r\n')
  const { pictures, zeroMs } = parseStoryboard(text, 'http://peer/vod/a/storyboard.vtt')
  t.equal(zeroMs, undefined)
  t.same(pictures, [
    {
      startS: 0,
      url: 'http://peer/vod/a/storyboard/0.jpg',
      piece: { x: 0, y: 0, width: 160, height: 90 },
    },
    {
      startS: 3_602.5,
      url: 'http://peer/vod/a/storyboard/0.jpg',
      piece: { x: 160, y: 90, width: 160, height: 90 },
    },
  ])
  t.equal(pictureAt(pictures, -5)?.startS, 0, 'before the first')
  t.equal(pictureAt(pictures, 3_602.4)?.startS, 0)
  t.equal(pictureAt(pictures, 9_999)?.startS, 3_602.5, 'after the last')
  t.equal(pictureAt([], 1), undefined)
})

test('a live storyboard says when it begins', async (t) => {
  const text =
    'WEBVTT\n\n2026-01-02T03:04:05.000Z\n00:00:00.000 --> 00:00:10.000\nstoryboard/1.jpg\n\n2026-01-02T03:04:15.000Z\n00:00:10.000 --> 00:00:20.000\nstoryboard/2.jpg\n'
  const { pictures, zeroMs } = parseStoryboard(text, 'http://peer/live/a/storyboard.vtt')
  t.equal(zeroMs, Date.parse('2026-01-02T03:04:05.000Z'))
  t.same(
    pictures.map(({ url, piece }) => [url, piece]),
    [
      ['http://peer/live/a/storyboard/1.jpg', undefined],
      ['http://peer/live/a/storyboard/2.jpg', undefined],
    ],
  )
})

test('cues are due in their time, once each, and the oldest go', async (t) => {
  const cue = (startTime: number, endTime: number, text: string) => ({
    ...{ id: `${startTime}`, startTime, endTime, text },
  })
  const list = new CueList()
  list.add([cue(4, 6, 'b'), cue(1, 5, 'a')])
  list.add([cue(1, 5, 'a'), cue(8, 9, 'c')])
  t.equal(list.length, 3)
  t.same(
    list.at(4.5).map(({ text }) => text),
    ['a', 'b'],
  )
  t.same(list.at(7), [])
  list.add([cue(1, 5, 'another line of the same time')])
  t.equal(list.at(2).length, 2)
  list.add([cue(0.96, 5.05, 'a'), cue(1.04, 4.95, 'a')])
  t.equal(list.at(2).length, 2, 'the same cue, rounded another way')
  list.add([cue(1.5, 5, 'a')])
  t.equal(list.at(2).length, 3, 'the same words said again')
  list.add(Array.from({ length: 11_000 }, (_, i) => cue(100 + i, 101 + i, `${i}`)))
  t.equal(list.length, 10_800)
  t.same(list.at(2), [])
})

test('places in a span and in words', async (t) => {
  t.equal(shareOf(video, 25), 0.25)
  t.equal(shareOf({ ...video, endS: 0 }, 25), 0)
  t.equal(timeAt(video, 2), 100)
  t.ok(isSeekable(video))
  t.notOk(isSeekable({ ...video, live: true, endS: 12 }), 'a short live window is a buffer')
  t.equal(positionText(video, 65), '1:05')
  t.equal(positionText({ ...video, live: true }, 70), '−0:30')
  t.equal(positionText({ ...video, live: true }, 99.5), 'Live')
})

test('qualities and failures have names', async (t) => {
  t.equal(renditionOf('http://peer/live/test/720p/media.m3u8?x=1'), '720p')
  const level = { width: 1920, height: 1080, frameRate: 59.94, videoRange: 'PQ' as const }
  t.equal(levelName(level), '1080p60 HDR')
  t.equal(levelName({ ...level, width: 1080, height: 1920 }), '1080p60 HDR', 'upright')
  t.equal(levelName({ ...level, width: 1080, height: 1920 }), '1080p60 HDR', 'upright')
  t.equal(levelName({ ...level, height: 0 }), 'Sound only')
  const error = (code: number, type = 'networkError') =>
    describeError({ type, response: { code } } as Parameters<typeof describeError>[0], true)
  t.match(error(404), /does not know the stream/)
  t.match(error(503), /No peer/)
  t.match(error(0), /connection/)
  t.match(error(0, 'mediaError'), /Playback failed/)
})

test('the menu offers what there is', async (t) => {
  const done: unknown[] = []
  const choice = (id: string, selected = false) => ({ id, label: id, detail: '', selected })
  const settings = playerSettings(
    {
      qualities: [choice('auto', true), choice('720p'), choice('240p')],
      playing: '720p',
      sounds: [],
      captions: [choice('sub:English')],
    },
    1.5,
    {
      quality: (id) => done.push(id),
      rate: (rate) => done.push(rate),
      sound: (id) => done.push(id),
      captions: (id) => done.push(id),
    },
  )
  t.same(
    settings.map(({ name, value }) => [name, value]),
    [
      ['Quality', 'Auto (720p)'],
      ['Speed', '1.5×'],
      ['Captions', 'Off'],
    ],
  )
  for (const setting of settings) setting.choose(setting.choices.at(-1)?.id ?? '')
  settings.at(-1)?.choose('off')
  t.same(done, ['240p', 2, 'sub:English', undefined])
})
