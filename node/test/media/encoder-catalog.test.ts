// The catalog offers what worked, nothing before it is known, and nothing after the peer stopped.
import { Registry } from 'prom-client'
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { silentLogger } from '../../src/logger.ts'
import { EncoderCatalog } from '../../src/media/encoder-catalog.ts'
import type { EncoderProbe } from '../../src/media/encoders.ts'
import { settle } from '../support/manual-clock.ts'

const found: EncoderProbe[] = [
  { name: 'libx264', kind: 'software', ok: true },
  { name: 'h264_nvenc', kind: 'hardware', ok: false, error: 'no device' },
]

function catalogWith(probe: () => Promise<EncoderProbe[]>): [EncoderCatalog, Registry] {
  const registry = new Registry()
  return [
    new EncoderCatalog(
      { clock: systemClock, logger: silentLogger, registry },
      { nvencEnabled: true },
      probe,
    ),
    registry,
  ]
}

test('what did not work is known and not offered', async (t) => {
  const { promise, resolve } = Promise.withResolvers<EncoderProbe[]>()
  const [catalog, registry] = catalogWith(() => promise)
  catalog.start()
  t.equal(catalog.found, undefined, 'still trying')
  t.strictSame(catalog.working, [])
  resolve(found)
  await settle()
  t.strictSame(catalog.found, found)
  t.strictSame(catalog.working, ['libx264'])
  const text = await registry.metrics()
  t.match(text, 'kairo_media_encoder_works{encoder="h264_nvenc",kind="hardware"} 0')
})

test('findings that come after the stop, and a probe that fails, change nothing', async (t) => {
  const { promise, resolve } = Promise.withResolvers<EncoderProbe[]>()
  const [late] = catalogWith(() => promise)
  late.start()
  late.stop()
  resolve(found)
  await settle()
  t.equal(late.found, undefined)
  const [broken] = catalogWith(async () => {
    throw new Error('no processes left')
  })
  broken.start()
  await settle()
  t.strictSame(broken.working, [])
})
