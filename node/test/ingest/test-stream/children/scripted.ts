/** A child for the tests of TestStream: does what the stream key in its address says. */

import type { FromChild, ToChild } from '../../../../src/ingest/test-stream/messages.ts'

let deaf = false

const tell = (message: FromChild) => process.send?.(message)

process.on('disconnect', () => process.exit(0))
process.on('message', (message: ToChild) => {
  if (message.type === 'stop') {
    if (!deaf) process.exit(0)
    return
  }
  const script = message.rtmpUrl.split('/').at(-1)
  if (script === 'crash') process.kill(process.pid, 'SIGSEGV')
  if (script === 'unavailable') {
    tell({ type: 'failed', reason: 'no encoder here', unavailable: true })
    process.disconnect()
  }
  if (script === 'refused') {
    process.stderr.write('what FFmpeg says\n')
    tell({ type: 'failed', reason: 'publish: refused', unavailable: false })
    process.disconnect()
  }
  if (script === 'good' || script === 'deaf') {
    deaf = script === 'deaf'
    tell({ type: 'publishing', sinceForkMs: 12 })
    tell({ type: 'progress', frames: 30, skipped: 1, cpuS: 0.5 })
    tell({ type: 'progress', frames: 60, skipped: 3, cpuS: 0.75 })
  }
  // `silent` says nothing, as a child that hangs.
})
