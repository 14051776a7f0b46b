/** What a refusal says, as a person reads it. */

/** Fields at fault that are told; a form shows the next when these are right. */
const fieldsShown = 3

/** The sentences of an RFC 9457 problem document, with the fields at fault, or a general one when the answer is something else. */
export function problemText(text: string, status: number): string {
  const problem = parse(text)
  const told = [problem.detail, problem.title].find((each) => typeof each === 'string')
  if (told === undefined) return `The peer answered with status ${status}.`
  const fields = Array.isArray(problem.errors) ? problem.errors.flatMap(fieldText) : []
  return fields.length === 0 ? told : `${told}: ${fields.slice(0, fieldsShown).join('; ')}`
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    // Not a problem document: some proxy answered in the peer's place.
    return {}
  }
}

/** `hosts.0: Invalid string`; the part of the request that it was in means nothing to a person. */
function fieldText(error: unknown): string[] {
  const { field, message } = (error ?? {}) as Record<string, unknown>
  if (typeof field !== 'string' || typeof message !== 'string') return []
  return [`${field.replace(/^(body|query|params)\./, '')}: ${message}`]
}
