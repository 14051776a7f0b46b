// The encoder probe with the real encoders, and with children that crash and hang.
import { existsSync } from 'node:fs'
import { test } from 'tap'
import { type Clock, systemClock } from '../../src/clock.ts'
import { probeEncoders } from '../../src/media/encoders.ts'

test('the software encoders work here, and every encoder gets an answer', async (t) => {
  const probes = await probeEncoders()
  t.same(
    probes.map(({ name }) => name),
    [
      ...['libx264', 'libx265', 'libsvtav1', 'aac', 'libopus'],
      ...['nvenc', 'qsv', 'amf', 'vaapi'].flatMap((kind) =>
        ['h264', 'hevc', 'av1'].map((codec) => `${codec}_${kind}`),
      ),
      'h264_v4l2m2m',
    ],
  )
  for (const { name, kind, ok, error } of probes) {
    if (kind === 'software') t.equal(ok, true, `${name}: ${error}`)
    t.equal(ok, error === undefined, `${name} either works or says why not`)
  }
})

test('a driver that crashes is blamed alone', async (t) => {
  const folder = t.testdir({
    'child.mjs': `
      process.on('message', (names) => {
        for (const name of names) {
          process.send({ type: 'trying', name }, () => {
            if (name === 'h264_qsv') process.kill(process.pid, 'SIGSEGV')
          })
          if (name === 'h264_qsv') return
          process.send({ type: 'tried', name, error: null })
        }
        process.disconnect()
      })`,
  })
  const probes = await probeEncoders({ childPath: `${folder}/child.mjs` })
  const failed = probes.filter(({ ok }) => !ok)
  t.same(
    failed.map(({ name }) => name),
    ['h264_qsv'],
  )
  t.match(failed[0]?.error, /SIGSEGV/)
})

test('a driver that hangs is killed when the time is over', async (t) => {
  const folder = t.testdir({
    'child.mjs': `
      import { writeFileSync } from 'node:fs'
      process.on('message', (names) => {
        process.send({ type: 'trying', name: names[0] })
        process.send({ type: 'tried', name: names[0], error: null })
        process.send({ type: 'trying', name: names[1] }, () => writeFileSync(process.argv[1] + '.hangs', ''))
      })`,
  })
  // The time is over when the child hangs, however long it took to get there.
  const clock: Clock = {
    ...systemClock,
    after: (_delayMs, callback) => {
      const timer = setInterval(() => {
        if (existsSync(`${folder}/child.mjs.hangs`)) callback()
      }, 20)
      return () => clearInterval(timer)
    },
  }
  const probes = await probeEncoders({ childPath: `${folder}/child.mjs`, clock })
  t.equal(probes[0]?.ok, true)
  t.match(probes[1]?.error, /hangs/)
  t.match(probes[2]?.error, /not tried/)
})

test('a child that cannot start is an answer, too', async (t) => {
  const folder = t.testdir({ 'child.mjs': 'process.exit(3)' })
  const probes = await probeEncoders({ childPath: `${folder}/child.mjs` })
  t.equal(probes.length, 18)
  t.ok(probes.every(({ ok, error }) => !ok && /code 3/.test(error ?? '')))
})

test('what the operator switched off is not even tried', async (t) => {
  const folder = t.testdir({
    'child.mjs': `
      process.on('message', (names) => {
        for (const name of names) process.send({ type: 'tried', name, error: null })
        process.disconnect()
      })`,
  })
  const probes = await probeEncoders({
    childPath: `${folder}/child.mjs`,
    nvencEnabled: false,
  })
  t.match(
    probes.filter(({ ok }) => !ok),
    ['h264', 'hevc', 'av1'].map((codec) => ({ name: `${codec}_nvenc`, error: /nvencEnabled/ })),
  )
})
