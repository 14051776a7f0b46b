/** What a bench gives back; `run.ts` prints it. The names of the figures are listed in README.md and do not change. */

/** Figures by name, in groups where there are many. */
export interface Figures {
  readonly [name: string]: number | Figures
}

/** The outcome of one bench. */
export interface BenchResult {
  /** True when every target was met. */
  readonly ok: boolean
  /** Ours over the rival's on the same work in the same run, each at its median. */
  readonly ratios: Readonly<Record<string, number>>
  /** Figures of Kairo alone, or by scenario and side; the unit is at the end of the name. */
  readonly values: Figures
  /** Version of everything that took part, by name. */
  readonly peers: Readonly<Record<string, string>>
  /** Rivals that are not installed, and so were not measured. */
  readonly missing?: readonly string[]
  /** The figures for people, as lines of text. */
  readonly table: string
}

/** How a bench is run. */
export interface BenchOptions {
  /** Shorter, to see that the bench itself works; what it reads then is no reading. A bench without a short form ignores it. */
  readonly isQuick: boolean
}

/** What every `bench/<name>.ts` is. */
export interface Bench {
  readonly run: (options: BenchOptions) => Promise<BenchResult>
  /** Longest that it may take. Default {@link DEADLINE_MS}. */
  readonly deadlineMs?: number
}

/** Ends a bench that hangs. */
export const DEADLINE_MS = 20 * 60_000

/** Lays rows out in columns; the first row is the heading. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  const [heading = [], ...body] = rows
  return [
    line(heading),
    widths.map((width) => '-'.repeat(width)).join('  '),
    ...body.map(line),
  ].join('\n')
}

const begunMs = performance.now()

/** Says on standard error, for people, what a bench is doing now. */
export function progress(text: string): void {
  process.stderr.write(
    `${((performance.now() - begunMs) / 1_000).toFixed(0).padStart(4)} s  ${text}\n`,
  )
}
