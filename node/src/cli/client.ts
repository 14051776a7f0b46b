/** How commands ask the running peer: its address and operator token are in the home folder. */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import type { z } from 'zod'
import { KairoError } from '../errors.ts'
import { homeAt, readRunning } from '../home.ts'
import { parseJson } from '../json.ts'
import { programName } from './program.ts'

const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const ANSWER_TIMEOUT_MS = 30_000

/** What is read of a problem document (RFC 9457). */
interface Problem {
  readonly code?: string
  readonly detail?: string
  readonly title?: string
  /** Which fields of the request are wrong, and how. */
  readonly errors?: readonly { readonly field: string; readonly message: string }[]
}

/** Asks the peer that runs on a home folder. */
export class PeerClient {
  readonly url: string
  readonly #token: string

  /**
   * @throws KairoError `ERR_NOT_FOUND` when no peer runs there, `ERR_FORBIDDEN` when its token cannot be read.
   */
  constructor(homeFolder: string) {
    const home = homeAt(homeFolder)
    const running = readRunning(home)
    if (running === undefined) {
      throw new KairoError(
        'ERR_NOT_FOUND',
        `no peer runs on ${homeFolder}. Start one with \`${programName()} up\`, or name its folder with --home.`,
      )
    }
    this.url = running.http
    try {
      this.#token = readFileSync(home.operatorTokenFile, 'utf8').trim()
    } catch (cause) {
      throw new KairoError(
        'ERR_FORBIDDEN',
        `cannot read ${home.operatorTokenFile}; run as the peer's user`,
        {
          cause,
        },
      )
    }
  }

  /** The field that opens the peer's routes to the operator, for calls that are made otherwise. */
  get authorization(): { readonly authorization: string } {
    return { authorization: `Bearer ${this.#token}` }
  }

  /**
   * One API call; the answer is checked against its schema.
   * @throws KairoError with the code of the peer's problem document, or `ERR_TIMEOUT`.
   */
  async call<T extends z.ZodType>(
    method: string,
    path: string,
    schema: T,
    body?: unknown,
  ): Promise<z.output<T>> {
    const { status, text } = await this.#send(method, path, body)
    const value = parseJson(text)
    if (status >= 400) {
      const problem = (value ?? {}) as Problem
      throw new KairoError(
        (problem.code ?? 'ERR_PROTOCOL') as 'ERR_PROTOCOL',
        [problem.detail ?? problem.title ?? `the peer answered ${status}`]
          .concat((problem.errors ?? []).map(({ field, message }) => `${field}: ${message}`))
          .join('; '),
      )
    }
    const parsed = schema.safeParse(value)
    if (!parsed.success) {
      throw new KairoError(
        'ERR_PROTOCOL',
        `${this.url} gave an answer that this version does not understand`,
      )
    }
    return parsed.data
  }

  #send(method: string, path: string, body: unknown): Promise<{ status: number; text: string }> {
    const payload = body === undefined ? undefined : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(
          new KairoError(
            'ERR_TIMEOUT',
            `the peer at ${this.url} does not answer: ${cause.message}`,
            { cause },
          ),
        )
      const outgoing = request(
        new URL(path, this.url),
        {
          method,
          timeout: ANSWER_TIMEOUT_MS,
          headers: {
            authorization: `Bearer ${this.#token}`,
            ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
          },
        },
        (response) => {
          const chunks: Buffer[] = []
          let bytes = 0
          response.on('data', (chunk: Buffer) => {
            bytes += chunk.byteLength
            if (bytes > ANSWER_BYTES_MAX) outgoing.destroy(new Error('the answer is too large'))
            else chunks.push(chunk)
          })
          response.on('error', fail)
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              text: Buffer.concat(chunks).toString('utf8'),
            }),
          )
        },
      )
      outgoing.on('timeout', () =>
        outgoing.destroy(new Error(`silent for ${ANSWER_TIMEOUT_MS} ms`)),
      )
      outgoing.on('error', fail)
      outgoing.end(payload)
    })
  }
}
