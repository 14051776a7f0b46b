/** Waiting for what another process, a socket or the disk does in its own time, where nothing tells when it is done. */

/** Resolves once `condition` holds, looked at every few milliseconds; rejects after `timeoutMs`, default a minute. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = 'what the test waits for',
  timeoutMs = 60_000,
): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`never came: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
