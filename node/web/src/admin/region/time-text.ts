/** Moments of the region as this browser writes them. */

/** `Nov 22, 2026, 20:58`. */
export function timeText(iso: string): string {
  return new Date(iso).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })
}
