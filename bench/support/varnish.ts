/** Varnish with bodies in RAM, run by the user who runs the bench. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { startProgram } from './child-program.ts'
import { onCore } from './cores.ts'
import { freePort, portOpens } from './ports.ts'
import { type ServedProcess, servedBy } from './served-process.ts'
import { tempFolder } from './temp-folder.ts'

const run = promisify(execFile)
/** It compiles its configuration with a C compiler first. */
const START_MS = 20_000

/**
 * A cache in front of the origin on a port of 127.0.0.1, with one pool of threads and no management port; undefined where it is not
 * installed. @throws Error with its output when it does not start.
 */
export async function startVarnish(
  originPort: number,
  memoryBytes: number,
): Promise<ServedProcess | undefined> {
  const binary = ['/usr/sbin/varnishd', '/usr/bin/varnishd'].find(existsSync)
  if (binary === undefined) return undefined
  // Its log is a file that it writes for every request; Varnish wants that in RAM.
  const { path: folder, remove } = tempFolder('varnish', { inMemory: true })
  const port = await freePort()
  const [command = '', ...words] = onCore('server', [
    ...[binary, '-F', '-n', folder, '-j', 'none', '-T', 'none'],
    ...['-a', `127.0.0.1:${port}`, '-b', `127.0.0.1:${originPort}`],
    ...['-s', `malloc,${memoryBytes}`, '-t', '86400'],
    ...['-p', 'thread_pools=1', '-p', 'timeout_idle=600'],
  ])
  const program = startProgram(command, words)
  try {
    await portOpens(port, START_MS)
  } catch (cause) {
    await program.stop()
    remove()
    throw new Error(`varnishd does not start: ${program.log()}`, { cause })
  }
  const { stderr } = await run(binary, ['-V'])
  const version = /varnish-([\d.]+)/.exec(stderr)?.[1] ?? 'unknown'
  return servedBy('varnish', version, port, program, remove)
}
