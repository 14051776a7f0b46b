/**
 * Finds out which encoders work on this machine, by trying them in a child process: graphics drivers crash and hang, and
 * neither may reach the peer.
 */

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Clock, systemClock } from '../clock.ts'
import { encoderProbeLimits } from '../limits.ts'
import { childEnvironment } from './child-environment.ts'
import type { ProbeMessage } from './encoder-probe-child.ts'

/** One encoder and whether it encoded a picture (or a block of sound) here. */
export interface EncoderProbe {
  /** FFmpeg's name, `h264_nvenc`. */
  readonly name: string
  readonly kind: 'software' | 'hardware'
  readonly ok: boolean
  /** Why not, when it does not work. */
  readonly error?: string
}

/** How {@link probeEncoders} is called. */
export interface ProbeEncodersOptions {
  /** Default: the machine's clock. */
  readonly clock?: Clock
  /** Bound of the whole probe. Default: `encoderProbeLimits.timeoutMs`. */
  readonly timeoutMs?: number
  /** Whether NVENC is tried at all (setting `nvencEnabled`). Default: true. */
  readonly nvencEnabled?: boolean
  /** The program that the fork runs. Default: this folder's `encoder-probe-child.ts`. */
  readonly childPath?: string
}

/** Software first, since it answers at once; then each kind of hardware with all that it encodes. */
const encoderKinds: ReadonlyMap<string, EncoderProbe['kind']> = new Map([
  ...software('libx264', 'libx265', 'libsvtav1', 'aac', 'libopus'),
  ...hardware('nvenc'),
  ...hardware('qsv'),
  ...hardware('amf'),
  ...hardware('vaapi'),
  ['h264_v4l2m2m', 'hardware'],
])

function software(...names: string[]): [string, EncoderProbe['kind']][] {
  return names.map((name) => [name, 'software'])
}

function hardware(kind: string): [string, EncoderProbe['kind']][] {
  return ['h264', 'hevc', 'av1'].map((codec) => [`${codec}_${kind}`, 'hardware'])
}

/**
 * Tries every encoder that Kairo may use, software first; takes about a second where no driver hangs. Never rejects:
 * a crash or a hang is the answer for the encoder that caused it, and the others are tried in a new child.
 */
export async function probeEncoders(options: ProbeEncodersOptions = {}): Promise<EncoderProbe[]> {
  const { clock = systemClock, timeoutMs = encoderProbeLimits.timeoutMs } = options
  const { nvencEnabled = true } = options
  const childPath =
    options.childPath ?? fileURLToPath(new URL('./encoder-probe-child.ts', import.meta.url))
  const errors = new Map<string, string | null>()
  for (const name of nvencEnabled ? [] : encoderKinds.keys()) {
    if (name.endsWith('_nvenc')) errors.set(name, 'switched off by the setting nvencEnabled')
  }
  const timedOut = new AbortController()
  const cancel = clock.after(timeoutMs, () => timedOut.abort())
  let waiting = [...encoderKinds.keys()].filter((name) => !errors.has(name))
  while (waiting.length > 0 && !timedOut.signal.aborted) {
    await probeInChild(childPath, waiting, errors, timedOut.signal)
    // Each round answers for at least one encoder, so this ends.
    waiting = waiting.filter((name) => !errors.has(name))
  }
  cancel()
  return [...encoderKinds].map(([name, kind]) => {
    const error = errors.has(name)
      ? errors.get(name)
      : 'not tried: the time was over before its turn'
    return error === null || error === undefined
      ? { name, kind, ok: true }
      : { name, kind, ok: false, error }
  })
}

/** Runs one child over `names` until it ends, and notes what it said of each, or did to the one in work. */
function probeInChild(
  childPath: string,
  names: readonly string[],
  errors: Map<string, string | null>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const child = fork(childPath, [], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: childEnvironment(),
    })
    const kill = () => child.kill('SIGKILL')
    let inWork: string | undefined
    let failure: Error | undefined
    child.on('message', (message: ProbeMessage) => {
      inWork = message.type === 'trying' ? message.name : undefined
      if (message.type === 'tried') errors.set(message.name, message.error)
    })
    child.on('error', (error) => {
      failure = error
    })
    child.once('close', (code, exitSignal) => {
      signal.removeEventListener('abort', kill)
      const left = names.filter((name) => !errors.has(name))
      const cause = signal.aborted
        ? 'it hangs'
        : (failure?.message ?? `its process ended with ${exitSignal ?? `code ${code}`}`)
      // A child that died before it named one cannot say anything about any of them.
      const blamed = inWork === undefined && !signal.aborted ? left : [inWork ?? '']
      for (const name of blamed) errors.set(name, cause)
      resolve()
    })
    signal.addEventListener('abort', kill, { once: true })
    child.send([...names], (error) => {
      if (error !== null) failure = error
    })
  })
}
