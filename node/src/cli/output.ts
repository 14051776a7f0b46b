/** What commands print: tables for people, one JSON value for programs, and failures in both forms. */
import { styleText } from 'node:util'
import { KairoError } from '../errors.ts'
import { programName } from './program.ts'

/** Writes one JSON line to standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Writes text to standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Rows of cells in aligned columns, two spaces apart; a row of `[]` is an empty line. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    })
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/**
 * Rows of a name and a text, the texts wrapped beside their names.
 * @param columns width of the terminal in characters
 */
export function formatDefinitions(
  rows: readonly (readonly [name: string, text: string])[],
  columns: number = process.stdout.columns ?? 120,
): string {
  const nameColumns = Math.max(...rows.map(([name]) => name.length))
  const textColumns = Math.max(30, columns - nameColumns - 2)
  return formatTable(
    rows.flatMap(([name, text]) =>
      wrap(text, textColumns).map((line, index) => [index === 0 ? name : '', line]),
    ),
  )
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

/** Bold on a terminal, plain elsewhere. */
export function bold(text: string): string {
  return styleText('bold', text, { stream: process.stdout })
}

/** Faint on a terminal, plain elsewhere. */
export function dim(text: string): string {
  return styleText('dim', text, { stream: process.stdout })
}

/** Says on standard error what went wrong; as a JSON line when the caller asked for JSON. */
export function printError(error: unknown, json: boolean): void {
  const code = codeOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (json) {
    process.stdout.write(`${JSON.stringify({ event: 'error', code, message })}\n`)
    return
  }
  const label = styleText('red', 'error', { stream: process.stderr })
  process.stderr.write(`${label}: ${message}${code === undefined ? '' : ` (${code})`}\n`)
  if (code === 'ERR_USAGE') process.stderr.write(`See ${programName()} --help\n`)
  if (!(error instanceof KairoError) && code === undefined && error instanceof Error) {
    process.stderr.write(`${error.stack ?? ''}\n`)
  }
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** 1536 -> `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** 3725 -> `1h 2m`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.floor(seconds)
  if (whole < 60) return `${whole}s`
  if (whole < 3_600) return `${Math.floor(whole / 60)}m ${whole % 60}s`
  if (whole < 86_400) return `${Math.floor(whole / 3_600)}h ${Math.floor((whole % 3_600) / 60)}m`
  return `${Math.floor(whole / 86_400)}d ${Math.floor((whole % 86_400) / 3_600)}h`
}
