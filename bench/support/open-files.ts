/** Open files: each connection that is held is one, on either side. */
import { openFilesMax } from './process-tree.ts'

/** A command that may have so many files open, where whoever runs the bench may allow that; else it has what there is. */
export function withOpenFiles(count: number, command: readonly string[]): readonly string[] {
  if (openFilesMax() >= count) return command
  return ['/bin/sh', '-c', 'ulimit -n "$0" 2> /dev/null; exec "$@"', String(count), ...command]
}
