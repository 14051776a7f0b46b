/** Whole media files for cases to break: tiny, made by the real ffmpeg, each once a run however many cases ask for it. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A moving picture of 160 by 90 and a tone, 3 s each: arguments for ffmpeg. */
export const PICTURE: readonly string[] = ['-f', 'lavfi', '-i', 'testsrc2=s=160x90:r=10:d=3']
export const SOUND: readonly string[] = ['-f', 'lavfi', '-i', 'sine=f=440:r=48000:d=3']
/** A keyframe a second and two B-frames. */
export const H264: readonly string[] = [
  ...['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '10', '-keyint_min', '10', '-bf', '2'],
  ...['-sc_threshold', '0', '-pix_fmt', 'yuv420p', '-threads', '1'],
]
export const AAC: readonly string[] = ['-c:a', 'aac', '-b:a', '64k']
/** Both, in H.264 and AAC. */
export const ORDINARY: readonly string[] = [...PICTURE, ...SOUND, ...H264, ...AAC]

/** Clips of one run. */
export class Clips {
  readonly #directory: string
  readonly #made = new Map<string, Promise<string>>()

  /** Makes them in a folder that is there. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** The path of the file that ffmpeg makes of these arguments; the container follows from the name. */
  path(name: string, args: readonly string[] = ORDINARY): Promise<string> {
    const known = this.#made.get(name)
    if (known !== undefined) return known
    const path = join(this.#directory, name)
    const made = run('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args, path]).then(() => path)
    this.#made.set(name, made)
    return made
  }

  /** Has a file that something else than ffmpeg makes, under a name that {@link Clips.bytes} knows from then on. */
  keep(name: string, make: (path: string) => Promise<unknown>): void {
    const path = join(this.#directory, name)
    this.#made.set(
      name,
      make(path).then(() => path),
    )
  }

  /** The bytes of that file. */
  async bytes(name: string, args: readonly string[] = ORDINARY): Promise<Buffer> {
    return readFile(await this.path(name, args))
  }
}
