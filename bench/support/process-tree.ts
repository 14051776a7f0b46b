/** What Linux says of a process and all that it started: who they are, what they have spent and what they hold. Everything here is Linux. */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: /proc counts CPU time in hundredths of a second on every Linux in use. */
const TICK_US = 10_000

/** A process and those that it started, and so on; those that are gone are left out. */
export function processTree(pid: number): number[] {
  const tree = [pid]
  for (const parent of tree) tree.push(...childrenOf(parent))
  return tree
}

/** Any thread of a process may have started others. */
function childrenOf(pid: number): number[] {
  const folder = `/proc/${pid}/task`
  try {
    return readdirSync(folder).flatMap((thread) =>
      readFileSync(`${folder}/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    )
  } catch {
    // It ended, or this is another system.
    return []
  }
}

/** CPU time of a process and its children since they started, user and kernel, in microseconds. */
export function cpuUs(pid: number): number {
  return processTree(pid).reduce((sum, one) => {
    const stat = readProc(one, 'stat')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return sum + (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * TICK_US
  }, 0)
}

/** Memory of one process, without its children, that is in RAM, in bytes; 0 for one that is gone. */
export function rssBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readProc(pid, 'status'))?.[1] ?? 0) * 1024
}

/** Open files that this process, or one that it starts, may have at most. */
export function openFilesMax(): number {
  const limit = /^Max open files\s+\d+\s+(\d+|unlimited)/m.exec(readProc('self', 'limits'))?.[1]
  return limit === undefined || limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit)
}

function readProc(pid: number | 'self', file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}
