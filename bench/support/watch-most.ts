/** The highest that something was while something else ran. */

/** Looks at once and then every so often; what it returns looks a last time and gives the most that was seen. */
export function watchMost(look: () => Promise<number>, everyMs: number): () => Promise<number> {
  let most = Number.NEGATIVE_INFINITY
  let isOver = false
  const watch = async (): Promise<void> => {
    while (!isOver) {
      most = Math.max(most, await look())
      await new Promise((resolve) => setTimeout(resolve, everyMs))
    }
  }
  const watching = watch()
  // Whoever asks in the end sees the failure.
  watching.catch(() => {})
  return async () => {
    isOver = true
    await watching
    return Math.max(most, await look())
  }
}
