/** Dates of HTTP (RFC 9110 5.6.7). */

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** `Sun, 06 Nov 1994 08:49:37 GMT` */
const fixed =
  /^(?:mon|tue|wed|thu|fri|sat|sun), (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) gmt$/
/** `Sunday, 06-Nov-94 08:49:37 GMT` */
const rfc850 =
  /^(?:mon|tues|wednes|thurs|fri|satur|sun)day, (\d{2})-([a-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) gmt$/
/** `Sun Nov  6 08:49:37 1994` */
const asctime =
  /^(?:mon|tue|wed|thu|fri|sat|sun) ([a-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/

/** Longer text is no date. */
const CHARS_MAX = 40

/**
 * Unix milliseconds of an HTTP date in any of its three forms; undefined for anything else, other zones than GMT among them (RFC 9111 4.2).
 * Case does not matter (RFC 9111 4.2). `nowMs` places years of two digits: at most 50 years ahead (RFC 9110 5.6.7).
 */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  if (text.length > CHARS_MAX) return undefined
  const lower = text.trim().toLowerCase()
  const [, day, month, year, hour, minute, second] = fixed.exec(lower) ?? []
  if (day !== undefined) return atOf([Number(year), month, day, hour, minute, second])
  const old = rfc850.exec(lower)
  if (old !== null) {
    return atOf([fullYear(Number(old[3]), nowMs), old[2], old[1], old[4], old[5], old[6]])
  }
  const c = asctime.exec(lower)
  if (c === null) return undefined
  return atOf([Number(c[6]), c[1], c[2]?.trim(), c[3], c[4], c[5]])
}

/** A year of two digits that looks more than 50 years ahead was the last one that ended so (RFC 9110 5.6.7). */
function fullYear(twoDigits: number, nowMs: number): number {
  const now = new Date(nowMs).getUTCFullYear()
  const year = now - (now % 100) + twoDigits
  return year > now + 50 ? year - 100 : year
}

function atOf(parts: readonly [number, ...(string | undefined)[]]): number | undefined {
  const [year, monthName, day, hour, minute, second] = parts
  const month = MONTHS.indexOf(monthName ?? '')
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second)]
  // Second 60 is a leap second (RFC 9110 5.6.7).
  if (month < 0 || d < 1 || h > 23 || m > 59 || s > 60) return undefined
  const at = new Date(0)
  at.setUTCFullYear(year, month, d)
  // The thirtieth of February is no date.
  if (at.getUTCMonth() !== month) return undefined
  return at.setUTCHours(h, m, s)
}

/** The date in the form that senders use: `Sun, 06 Nov 1994 08:49:37 GMT`. */
export function formatHttpDate(atMs: number): string {
  return new Date(atMs).toUTCString()
}
