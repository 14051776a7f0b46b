/** How much of the memory that this process may have is in use. */
import { totalmem } from 'node:os'
import { constrainedMemory, memoryUsage } from 'node:process'
import { getHeapStatistics } from 'node:v8'

/** The larger of the shares of the heap and of the memory of the container or machine, 0 to 1. */
export function memoryShare(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
  const constrained = constrainedMemory()
  const all = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
  return Math.max(used / limit, memoryUsage.rss() / all)
}
