/** One finding of `kairo doctor`: what was looked at, how it is, and what to do about it. */
export interface Check {
  readonly name: string
  readonly status: 'ok' | 'warn' | 'fail'
  /** A sentence about what was found. */
  readonly detail: string
  /** What to do, where there is something to do. */
  readonly hint?: string
}
