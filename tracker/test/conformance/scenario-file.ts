/**
 * Reads scenario files: a directive line with arguments, optional input lines, `----`, then the expected output up to a
 * blank line; or, when that holds blank lines itself, between two pairs of `----`.
 */

/** One argument of a directive: `key`, `key=value` or `key=(value,value)`. */
export interface Argument {
  readonly key: string
  readonly values: readonly string[]
}

/** One directive with what it must print. */
export interface Directive {
  /** Line of the directive, from 1. */
  readonly line: number
  readonly command: string
  readonly arguments: readonly Argument[]
  readonly input: string
  readonly expected: string
  /** Line of the first line of the expected output. */
  readonly expectedLine: number
}

const separator = '----'

/** The directives of a file in order. */
export function parseScenario(text: string): Directive[] {
  const lines = text.replace(/\r\n/g, '\n').split('\n')
  // The text after the last line feed is no line.
  if (lines.at(-1) === '') lines.pop()
  const directives: Directive[] = []
  let at = 0
  while (at < lines.length) {
    const line = at + 1
    let head = (lines[at] as string).trim()
    at += 1
    if (head === '' || head.startsWith('#')) continue
    while (head.endsWith('\\') && at < lines.length) {
      head = `${head.slice(0, -1)} ${(lines[at] as string).trim()}`
      at += 1
    }
    const [command, ...rest] = parseLine(head)
    if (command === undefined || command.key === 'subtest') continue
    const start = at
    while (at < lines.length && lines[at] !== separator) at += 1
    const input = lines.slice(start, at).join('\n').trim()
    if (at >= lines.length) throw new Error(`line ${line}: no ${separator} after the directive`)
    at += 1
    const block = readExpected(lines, at)
    directives.push({
      ...{ line, command: command.key, arguments: rest, input },
      ...{ expected: block.text, expectedLine: block.line },
    })
    at = block.end
  }
  return directives
}

function readExpected(lines: string[], from: number): { text: string; line: number; end: number } {
  const isBlock = lines[from] === separator
  const start = isBlock ? from + 1 : from
  let end = start
  if (isBlock) {
    while (end < lines.length && !(lines[end] === separator && lines[end + 1] === separator)) {
      end += 1
    }
  } else {
    while (end < lines.length && (lines[end] as string).trim() !== '') end += 1
  }
  const text = lines.slice(start, end).map((line) => `${line}\n`)
  return { text: text.join(''), line: start + 1, end: isBlock ? end + 2 : end }
}

/** Splits a directive into its words; the first one is the command. */
export function parseLine(line: string): Argument[] {
  return [...line.matchAll(/([^\s=]+)(=\([^)]*\)|=\S*)?/g)].map(([, key, rest]) => ({
    key: key as string,
    values: rest === undefined ? [] : parseValues(rest.slice(1)),
  }))
}

function parseValues(text: string): string[] {
  if (!text.startsWith('(') || !text.endsWith(')')) return [text]
  const inner = text.slice(1, -1).trim()
  return inner === '' ? [] : inner.split(',').map((value) => value.trim())
}
