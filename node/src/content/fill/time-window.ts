/** A daily time, `01:00-06:00` in UTC, which may lie across midnight. Pure. */

/** Minutes of the day at which it begins and ends; the end is not in it. */
export interface TimeWindow {
  readonly fromMinute: number
  readonly toMinute: number
}

const PATTERN = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/
const DAY_MINUTES = 1_440
const MINUTE_MS = 60_000

/** The window that a text means; undefined when it means none. One that begins when it ends is the whole day. */
export function parseTimeWindow(text: string): TimeWindow | undefined {
  const match = PATTERN.exec(text)
  if (match === null) return undefined
  const [fromHour = 0, fromMinutes = 0, toHour = 0, toMinutes = 0] = match.slice(1).map(Number)
  return { fromMinute: fromHour * 60 + fromMinutes, toMinute: toHour * 60 + toMinutes }
}

/** True when the time, Unix milliseconds, lies in the window. */
export function isWithin({ fromMinute, toMinute }: TimeWindow, atMs: number): boolean {
  const length = (toMinute - fromMinute + DAY_MINUTES) % DAY_MINUTES || DAY_MINUTES
  const minute = Math.floor(atMs / MINUTE_MS) % DAY_MINUTES
  return (minute - fromMinute + DAY_MINUTES) % DAY_MINUTES < length
}
