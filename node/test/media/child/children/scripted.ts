/** A child for the tests of the pool: does what the name of its job's file says. */
import { Socket } from 'node:net'
import {
  encodeMessage,
  encodeUnitHead,
  type WireItem,
  WireReader,
} from '../../../../src/media/child/wire.ts'

const pipe = new Socket({ fd: 3, readable: true, writable: true })
const reader = new WireReader()
const progress = { unitsIn: 0, unitsOut: 0, position: 0, cpuS: 0.5, rssBytes: 1_000, damaged: 2 }

process.on('disconnect', () => process.exit(0))
pipe.write(encodeMessage({ type: 'ready', rssBytes: 500 }))

pipe.on('data', (chunk: Buffer) => {
  for (const item of reader.push(chunk)) act(item)
})

const end = (result: string) => pipe.end(encodeMessage({ type: 'done', result }))
const sign = (changes: Partial<typeof progress>) =>
  pipe.write(encodeMessage({ type: 'progress', progress: { ...progress, ...changes } }))

function act(item: WireItem): void {
  // An echo: units go back as they came, and the end of the input ends the job.
  if (item.type === 'unit') {
    pipe.write(encodeUnitHead(item.port, item.unit))
    pipe.write(item.unit.data)
  }
  if (item.type === 'config') pipe.write(encodeMessage(item))
  if (item.type === 'finish') {
    sign({ unitsIn: 3, unitsOut: 3, cpuS: 1.5 })
    end('echoed')
    process.disconnect()
  }
  if (item.type === 'job' && 'path' in item.job) follow(item.job.path)
}

function follow(script: string): void {
  if (script === 'deaf') pipe.pause()
  if (script !== 'mute') sign({})
  if (script === 'crash') process.kill(process.pid, 'SIGSEGV')
  if (script === 'exit') {
    process.stderr.write('what FFmpeg says\n')
    process.exit(3)
  }
  if (script === 'garbage') pipe.write('this is not a frame of the pipe at all')
  if (script === 'wrong-way') pipe.write(encodeMessage({ type: 'finish' }))
  if (script === 'fat') sign({ rssBytes: 2 ** 40 })
  if (script === 'refuse') {
    pipe.end(encodeMessage({ type: 'failed', code: 'ERR_MEDIA', message: 'no pictures in it' }))
    process.disconnect()
  }
  if (script === 'linger') {
    pipe.write(encodeMessage({ type: 'done', result: 'done but here' }))
    pipe.write(encodeMessage({ type: 'note', note: 'still here' }))
    setInterval(() => {}, 1_000)
  }
  if (script === 'beat') setInterval(() => sign({}), 5)
  // `echo`, `hang` and `mute` wait.
}
