/** What a bench gives back; `run.ts` prints it. The names of the figures are listed in README.md and do not change. */

/** The outcome of one bench. */
export interface BenchResult {
  /** True when every target was met. */
  readonly ok: boolean
  /** Ours over the rival's on the same work in the same run, each at its median. */
  readonly ratios: Readonly<Record<string, number>>
  /** Figures of Kairo alone; the unit is at the end of the name. */
  readonly values: Readonly<Record<string, number>>
  /** Version of everything that took part, by name. */
  readonly peers: Readonly<Record<string, string>>
  /** Rivals that are not installed, and so were not measured. */
  readonly missing?: readonly string[]
  /** The figures for people, as lines of text. */
  readonly table: string
}

/** What every `bench/<name>.ts` exports as `run`. */
export type Bench = () => Promise<BenchResult>

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
