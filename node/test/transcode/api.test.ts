// GET /api/transcoding and /api/presets, through the declared routes and their schemas.
import { test } from 'tap'
import { presetsSchema, transcodingSchema } from '../../src/api/schemas-transcode.ts'
import { transcodeRoutes } from '../../src/api/transcode.ts'
import { PresetStore } from '../../src/media/ladder/preset-store.ts'
import { opus, TranscodeBench } from '../support/transcode-bench.ts'

const request = {
  ...{ params: undefined, query: undefined, body: undefined },
  ...{ caller: { bearer: undefined, address: '127.0.0.1' }, requestId: 'r' },
  signal: new AbortController().signal,
}

function routesOf(bench: TranscodeBench) {
  const routes = transcodeRoutes({
    transcoding: bench.service,
    presets: new PresetStore({ directory: '/nonexistent' }),
  })
  return (path: string) => {
    const route = routes.find((one) => one.path === path)
    if (route === undefined) throw new Error(`no route ${path}`)
    return route
  }
}

test('transcoding as the operator sees it', async (t) => {
  const bench = new TranscodeBench()
  const route = routesOf(bench)('/api/transcoding')
  t.equal(route.access, 'operator')
  const ask = async () => transcodingSchema.parse((await route.handler(request)).body)
  t.match(await ask(), { budgetCores: 8, headroomCores: 8, streams: [] })
  const source = bench.source()
  t.match((await ask()).streams, [
    { stream: 'show', phase: 'measuring', source: null, pid: null, speed: null, problem: null },
  ])
  source.session.configure(opus)
  source.withSound = true
  await source.play(6_000)
  const answer = await ask()
  t.ok(answer.usedCores > 0 && answer.headroomCores < 8)
  const [stream] = answer.streams
  t.match(stream, { phase: 'running', pid: 1_000, restarts: 0, quality: 'auto' })
  t.match(stream?.source, { video: { frameRate: 30 }, audio: { codec: 'opus' } })
  t.match(stream?.rungs[0], {
    ...{ name: '720p', kind: 'video', width: 1280, height: 720, frameRate: 30 },
    ...{ encoder: 'libx264', state: 'live' },
  })
  t.match(stream?.rungs.at(-1), { name: 'audio-aac', kind: 'audio', encoder: 'aac' })
  t.ok(stream?.dropped.some(({ name, reason }) => name === '1080p' && reason !== ''))
})

test('presets as anyone sees them', async (t) => {
  const route = routesOf(new TranscodeBench())('/api/presets')
  t.equal(route.access, 'public')
  const { presets } = presetsSchema.parse((await route.handler(request)).body)
  t.match(
    presets.find(({ name }) => name === 'auto'),
    { builtIn: true, audio: { aac: 'needed' } },
  )
  t.ok(presets.every(({ description }) => description.length > 10))
})
