/** A problem document as the answer of a streaming route. */
import { PROBLEM_MEDIA_TYPE, type Problem } from './problem.ts'
import type { StreamAnswer } from './stream-route.ts'

/** The whole answer, which no cache keeps; `headers` come on top. */
export function problemAnswer(
  problem: Problem,
  headers: StreamAnswer['headers'] = {},
): StreamAnswer {
  const body = Buffer.from(JSON.stringify(problem))
  return {
    status: problem.status,
    headers: {
      'content-type': PROBLEM_MEDIA_TYPE,
      'content-length': String(body.byteLength),
      'cache-control': 'no-store',
      ...headers,
    },
    body,
  }
}
