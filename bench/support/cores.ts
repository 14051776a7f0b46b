/** Who runs on which processor core. */
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const taskset = ['/usr/bin/taskset', '/bin/taskset'].find(existsSync)

/** False on a machine where all have to share. */
const hasCores = taskset !== undefined && availableParallelism() > 1

/** A command that runs where it belongs: servers on the first core, load and origins on the others, so that nobody measures who takes whose core. */
export function onCore(core: 'server' | 'load', command: readonly string[]): readonly string[] {
  if (!hasCores) return command
  const cores = core === 'server' ? '0' : `1-${availableParallelism() - 1}`
  return [taskset as string, '-c', cores, ...command]
}
