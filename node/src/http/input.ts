/** Checks one part of a request against its declaration. */
import type { z } from 'zod'
import type { FieldError } from './problem.ts'

/**
 * The value as its schema gives it; what does not fit is added to `errors`.
 * @param place `path`, `query` or `body`, as field errors name it.
 */
export function checkInput(
  place: string,
  schema: z.ZodType | undefined,
  value: unknown,
  errors: FieldError[],
): unknown {
  if (schema === undefined) {
    return undefined
  }
  const result = schema.safeParse(value ?? {})
  if (!result.success) {
    for (const issue of result.error.issues) {
      errors.push({ field: [place, ...issue.path.map(String)].join('.'), message: issue.message })
    }
  }
  return result.data
}
