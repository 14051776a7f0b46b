/** Reads figures out of the Prometheus text format, as `/metrics` answers it. */

/** One line: what it is labelled with, and its number. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g
const escaped: Readonly<Record<string, string>> = { n: '\n', '"': '"', '\\': '\\' }

/** The lines of the metric `name` in `text`; none where it was never counted. */
export function samplesOf(text: string, name: string): readonly Sample[] {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith(name)) return []
    const rest = line.slice(name.length)
    if (!rest.startsWith(' ') && !rest.startsWith('{')) return []
    // The number comes after the last brace: a value may hold spaces and braces, a number neither.
    const end = rest.lastIndexOf('}') + 1
    const [number = ''] = rest.slice(end).trim().split(' ')
    const value = Number(number)
    if (number === '' || Number.isNaN(value)) return []
    const labels: Record<string, string> = {}
    for (const [, key = '', raw = ''] of rest.slice(0, end).matchAll(label)) {
      labels[key] = raw.replace(/\\(.)/g, (whole, char: string) => escaped[char] ?? whole)
    }
    return [{ labels, value }]
  })
}
