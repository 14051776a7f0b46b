// Which rung comes first when not all can be made.
import { test } from 'tap'
import { planLadder, type VideoFacts } from '../../../src/media/ladder/plan.ts'
import { PresetStore } from '../../../src/media/ladder/preset-store.ts'
import { byUsefulness } from '../../../src/media/ladder/usefulness.ts'

const presets = new PresetStore({ directory: '/nonexistent' })
const encoders = ['libx264', 'libx265'].map((name) => ({ name, ok: true }))

function order(init: Partial<VideoFacts>): string[] {
  const video: VideoFacts = {
    codec: 'h264',
    codecString: 'avc1.640028',
    width: 1920,
    height: 1080,
    frameRate: 30,
    bitrateBps: 6_000_000,
    videoRange: 'SDR',
    ...init,
  }
  const plan = planLadder({ video, audio: undefined }, presets.get('auto'), encoders)
  return byUsefulness(plan.video, video).map(({ name }) => name)
}

test('a phone is served before a near copy of the source', async (t) => {
  t.strictSame(order({}), ['480p', '240p', '720p', '360p'])
})

test('a large source is thinned from both ends', async (t) => {
  t.strictSame(order({ width: 3840, height: 2160, bitrateBps: 20_000_000 }), [
    ...['480p', '240p', '1080p', '360p', '720p', '1440p'],
  ])
})

test('a source that few can play has its full picture early, and HDR comes last', async (t) => {
  const names = order({ codec: 'hevc', codecString: 'hvc1', videoRange: 'PQ', bitrateBps: 8e6 })
  t.strictSame(names.slice(0, 3), ['480p', '240p', '1080p'])
  t.ok(names.indexOf('720p-hdr') > names.indexOf('360p'))
})

test('an unknown bit rate leaves an order all the same', async (t) => {
  t.strictSame(order({ bitrateBps: undefined }).length, 4)
})
