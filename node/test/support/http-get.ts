// A plain HTTP client for tests: whole answers as buffers.
import { type IncomingHttpHeaders, request } from 'node:http'

/** A whole answer. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
}

/** Asks once and reads the whole answer. */
export function httpRequest(
  url: string,
  options: {
    method?: string
    headers?: Record<string, string>
    body?: string
    timeoutMs?: number
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        timeout: options.timeoutMs ?? 20_000,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const body = Buffer.concat(chunks)
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body,
            text: body.toString('utf8'),
          })
        })
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer from ${url}`)))
    outgoing.on('error', reject)
    outgoing.end(options.body)
  })
}

/** Asks until `accept` holds, a fixed number of times; for states that another process reaches in its own time. */
export async function httpUntil(
  url: string,
  accept: (answer: Answer) => boolean,
  options: { headers?: Record<string, string>; attempts?: number; everyMs?: number } = {},
): Promise<Answer> {
  let last = 'no answer'
  for (let attempt = 0; attempt < (options.attempts ?? 150); attempt += 1) {
    try {
      const answer = await httpRequest(url, { headers: options.headers ?? {} })
      if (accept(answer)) return answer
      last = `${answer.status} ${answer.text.slice(0, 300)}`
    } catch (error) {
      last = String(error)
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 100))
  }
  throw new Error(`${url} never became what the test waits for; last: ${last}`)
}
