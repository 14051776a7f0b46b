// What a probe child says is taken when it has the shape of facts, and refused by the name of what is wrong otherwise.
import { test } from 'tap'
import { readFileFacts } from '../../../../src/media/child/file/read-file-facts.ts'

const video = {
  ...{ stream: 0, codecName: 'h264', codec: 'h264', codecString: 'avc1.64001f' },
  ...{ width: 640, height: 360, pixelAspect: 1, rotation: 0, frameRate: 30, videoRange: 'SDR' },
  ...{ bitrateBps: 1e6, pictures: 300, changes: false, reorder: 6000, from: 0, to: 900_000 },
  ...{ keyframes: [0, 450_000], seconds: [0] },
} as const
const audio = {
  ...{ stream: 1, codecName: 'aac', codec: 'aac', codecString: 'mp4a.40.2', channels: 2 },
  ...{
    sampleRate: 48_000,
    language: 'en',
    label: '',
    bitrateBps: 128_000,
    from: -1_024,
    to: 900_000,
  },
  gapMax: 0,
} as const
const facts = {
  ...{ format: 'mov,mp4,m4a,3gp,3g2,mj2', origin: -90_000, duration: 900_000, jumps: false },
  ...{ video, audio: [audio], subtitles: [] },
} as const

test('facts are taken as they are', async (t) => {
  t.same(readFileFacts(facts), facts)
  t.same(readFileFacts({ ...facts, video: null }).video, null)
})

test('what cannot be is refused by name', async (t) => {
  const wrong = [
    [null, /probe/],
    [{ ...facts, duration: 'long' }, /duration/],
    [{ ...facts, video: { ...video, width: 0 } }, /video\.width/],
    [{ ...facts, video: { ...video, rotation: 45 } }, /video\.rotation/],
    [{ ...facts, video: { ...video, codecString: 'avc1"\n#EXT' } }, /video\.codecString/],
    [{ ...facts, audio: [{ ...audio, language: 'e"n' }] }, /audio\.0\.language/],
    [{ ...facts, extra: 1 }, /extra/],
  ] as const
  for (const [value, message] of wrong) {
    t.throws(() => readFileFacts(value), { code: 'ERR_WORKER', message })
  }
})
