/**
 * Splits TypeScript into what runs and what is said about it, without a compiler (TypeScript 7 has no JavaScript API).
 * Enough of the language for house rules: comments, strings, template literals with nested code, regular expressions.
 */

/** One source file in views of equal length, so that an offset means the same in each. */
export interface SourceText {
  /** As written. */
  readonly raw: string
  /** Comments and the contents of strings, templates and regular expressions are spaces; the quotes stay. */
  readonly code: string
  /** Only the comments; all else is spaces. */
  readonly comments: string
}

/** A `/` after one of these begins a regular expression; after anything else it divides. */
const REGEX_AFTER =
  /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|await|yield|void))\s*$/

/** Splits a source file. */
export function splitSource(raw: string): SourceText {
  const state = { raw, code: [...blank(raw)], comments: [...blank(raw)], at: 0 }
  readCode(state, false)
  return { raw, code: state.code.join(''), comments: state.comments.join('') }
}

interface State {
  readonly raw: string
  readonly code: string[]
  readonly comments: string[]
  at: number
}

/** Line breaks stay in every view. UTF-16 units, not characters, so that offsets hold. */
function blank(text: string): string[] {
  return text.split('').map((char) => (char === '\n' ? '\n' : ' '))
}

/** Reads code up to the end or, inside a template's `${`, up to the `}` that closes it. */
function readCode(state: State, nested: boolean): void {
  const { raw } = state
  let depth = 0
  while (state.at < raw.length) {
    const char = raw[state.at] as string
    const two = raw.slice(state.at, state.at + 2)
    if (two === '//') take(state, state.comments, endOf(raw, '\n', state.at))
    else if (two === '/*') take(state, state.comments, endOf(raw, '*/', state.at + 2) + 2)
    else if (char === "'" || char === '"') skipQuoted(state, char)
    else if (char === '`') readTemplate(state)
    else if (char === '/' && startsRegex(state)) skipRegex(state)
    else {
      if (char === '{') depth += 1
      if (char === '}' && nested && depth === 0) return
      if (char === '}') depth -= 1
      take(state, state.code, state.at + 1)
    }
  }
}

function take(state: State, view: string[], end: number): void {
  for (; state.at < Math.min(end, state.raw.length); state.at += 1) {
    view[state.at] = state.raw[state.at] as string
  }
}

function endOf(raw: string, mark: string, from: number): number {
  const found = raw.indexOf(mark, from)
  return found === -1 ? raw.length : found
}

function skipQuoted(state: State, quote: string): void {
  take(state, state.code, state.at + 1)
  while (state.at < state.raw.length && state.raw[state.at] !== quote) {
    state.at += state.raw[state.at] === '\\' ? 2 : 1
  }
  take(state, state.code, state.at + 1)
}

function readTemplate(state: State): void {
  take(state, state.code, state.at + 1)
  while (state.at < state.raw.length && state.raw[state.at] !== '`') {
    if (state.raw.startsWith('${', state.at)) {
      take(state, state.code, state.at + 2)
      readCode(state, true)
      take(state, state.code, state.at + 1)
    } else state.at += state.raw[state.at] === '\\' ? 2 : 1
  }
  take(state, state.code, state.at + 1)
}

function startsRegex(state: State): boolean {
  return REGEX_AFTER.test(state.code.slice(Math.max(0, state.at - 40), state.at).join(''))
}

function skipRegex(state: State): void {
  take(state, state.code, state.at + 1)
  let inClass = false
  while (state.at < state.raw.length && state.raw[state.at] !== '\n') {
    const char = state.raw[state.at]
    if (char === '/' && !inClass) break
    if (char === '[') inClass = true
    if (char === ']') inClass = false
    state.at += char === '\\' ? 2 : 1
  }
  take(state, state.code, state.at + 1)
}
