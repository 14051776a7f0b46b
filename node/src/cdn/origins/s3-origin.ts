/**
 * An S3 bucket as an origin: requests signed with AWS Signature Version 4, path-style, over the same connections as any HTTP origin.
 * Only objects are read. No query, no credentials and no other field of the viewer reach the bucket, because there they would be
 * commands (`?list-type=2`, `?acl`, `?response-content-type=`).
 */
import { AwsClient } from 'aws4fetch'
import { KairoError } from '../../errors.ts'
import { s3OriginLimits as limits } from '../../limits/cdn-origins.ts'
import type { Logger } from '../../logger.ts'
import type { OriginConfig } from '../host-rule.ts'
import type { CacheRequest, Fields } from '../message.ts'
import type { Origin, OriginRequestOptions, OriginResponse } from '../origin.ts'
import { HttpOrigin, type OriginComponents } from './http-origin.ts'
import { pathNames } from './path-names.ts'
import { methodNotAllowed, plainAnswer } from './plain-answer.ts'

/** Where the bucket is, and who asks. */
export type S3OriginInit = Omit<Extract<OriginConfig, { type: 's3' }>, 'type'>

/** What a viewer may ask of an object. */
const passedFields = [
  ...['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'cdn-loop'],
]

/** What an object says of itself. Ids of requests, owners, encryption and storage are the operator's business. */
const keptFields = new Set([
  ...['accept-ranges', 'cache-control', 'content-disposition', 'content-encoding'],
  ...['content-language', 'content-length', 'content-range', 'content-type', 'date', 'etag'],
  ...['expires', 'last-modified', 'retry-after'],
])
const refusalFields = new Set(['content-range', 'date', 'retry-after'])

const singleRange = /^bytes=(?:\d+-\d*|-\d+)$/
const strongTag = /^"[^"]*"$/

/** Reads objects; a path that ends with `/` names the `index.html` there. */
export class S3Origin implements Origin {
  readonly #http: HttpOrigin
  readonly #logger: Logger
  readonly #clock: OriginComponents['clock']
  readonly #endpoint: URL
  readonly #bucketPath: string
  readonly #prefix: string
  readonly #client: AwsClient | undefined

  constructor(components: OriginComponents, init: S3OriginInit) {
    this.#endpoint = new URL(init.endpoint)
    this.#http = new HttpOrigin(components, { url: this.#endpoint.origin })
    this.#logger = components.logger.child({ name: 'kairo:origin', bucket: init.bucket })
    this.#clock = components.clock
    this.#bucketPath = `${this.#endpoint.pathname.replace(/\/+$/, '')}/${init.bucket}/`
    this.#prefix = init.prefix.replace(/^\/+/, '')
    const { accessKeyId, secretAccessKey, region } = init
    this.#client =
      accessKeyId === ''
        ? undefined
        : new AwsClient({ accessKeyId, secretAccessKey, region, service: 's3', retries: 0 })
  }

  /** @inheritdoc */
  async fetch(request: CacheRequest, options: OriginRequestOptions): Promise<OriginResponse> {
    const { method } = request
    if (method !== 'GET' && method !== 'HEAD') return methodNotAllowed(method)
    const key = this.#key(request.target)
    if (key === undefined) return plainAnswer(method, 404)
    const { range, 'if-range': ifRange } = request.headers
    const fields = chosen(request.headers)
    if (method === 'HEAD' || range === undefined || !singleRange.test(range)) {
      return await this.#ask(method, key, fields, options)
    }
    if (ifRange === undefined) return await this.#ask(method, key, { ...fields, range }, options)
    // S3 promises nothing about If-Range; If-Match with another try says the same (RFC 9110 13.1.5).
    if (strongTag.test(ifRange)) {
      const guarded = { ...fields, range, 'if-match': ifRange }
      const response = await this.#ask(method, key, guarded, options)
      const isOther = response.status === 412 || response.headers.etag !== ifRange
      if (!isOther) return response
      // Some servers that call themselves S3 do not heed If-Match either.
      await discard(response)
    }
    return await this.#ask(method, key, fields, options)
  }

  /** @inheritdoc */
  close(): void {
    this.#http.close()
  }

  #key(target: string): string | undefined {
    const path = pathNames(target, limits.keyBytesMax)
    if (path === undefined) return undefined
    const names = path.isFolder ? [...path.names, 'index.html'] : path.names
    const key = `${this.#prefix}${names.join('/')}`
    return Buffer.byteLength(key) > limits.keyBytesMax ? undefined : key
  }

  async #ask(
    method: 'GET' | 'HEAD',
    key: string,
    fields: Fields,
    options: OriginRequestOptions,
  ): Promise<OriginResponse> {
    const target = `${this.#bucketPath}${encoded(key)}`
    const signed = await this.#sign(method, target)
    const response = await this.#http.fetch(
      {
        ...{ method, target, headers: { ...fields, ...signed } },
        scheme: this.#endpoint.protocol === 'https:' ? 'https' : 'http',
        host: this.#endpoint.host,
      },
      { signal: options.signal },
    )
    const headers = kept(response.headers)
    if (response.status < 300 || response.status === 304) return { ...response, headers }
    return await this.#refused(method, response, headers)
  }

  /** The fields that prove who asks; none for a public bucket. */
  async #sign(method: string, target: string): Promise<Fields> {
    if (this.#client === undefined) return {}
    const datetime = new Date(this.#clock.now()).toISOString().replace(/[:-]|\.\d{3}/g, '')
    const url = `${this.#endpoint.origin}${target}`
    const { headers, url: signedUrl } = await this.#client.sign(url, { method, aws: { datetime } })
    // A path that the URL parser would change is signed in other words than it is sent in.
    if (signedUrl !== url) throw new KairoError('ERR_INVALID_INPUT', 'the key cannot be signed')
    return Object.fromEntries(headers)
  }

  /** S3's own document names the bucket, the key and the account: the operator's log gets its code, the viewer the status. */
  async #refused(
    method: string,
    response: OriginResponse,
    headers: Fields,
  ): Promise<OriginResponse> {
    const code = await errorCode(response.body)
    const { status } = response
    const isOrdinary = status === 404 || status === 412 || status === 416
    if (!isOrdinary) this.#logger.warn({ status, code }, 'the bucket refused a request')
    if (status < 400) {
      throw new KairoError('ERR_PROTOCOL', 'the bucket is at another endpoint or in another region')
    }
    const told = Object.entries(headers).filter(([name]) => refusalFields.has(name))
    return plainAnswer(method, status, Object.fromEntries(told))
  }
}

function chosen(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => passedFields.includes(name)))
}

function kept(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => keptFields.has(name)))
}

/** Every byte but unreserved ones and `/` percent-encoded, as the signature has it. */
function encoded(key: string): string {
  return encodeURIComponent(key)
    .replace(/%2F/g, '/')
    .replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The code in an error document; reads it to its end, or lets go of the connection. */
async function errorCode(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > limits.errorBytesMax) break
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  return /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(text)?.[1] ?? 'unknown'
}

/** Lets go of an answer's connection. */
async function discard({ body }: OriginResponse): Promise<void> {
  for await (const _ of body) break
}
