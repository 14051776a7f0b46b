/**
 * The trustless gateway: blocks and CARs that a client verifies by itself (https://specs.ipfs.tech/http-gateways/trustless-gateway/), and
 * files to be saved. It gives what this peer or other Kairo peers have, and searches nowhere else for strangers.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { CID } from 'multiformats/cid'
import { isKairoError, KairoError } from '../../errors.ts'
import { attachment } from '../../http/content-disposition.ts'
import { matchesTag } from '../../http/entity-tag.ts'
import { createProblem, pathOf } from '../../http/problem.ts'
import { problemAnswer } from '../../http/problem-answer.ts'
import { rangedAnswer } from '../../http/ranged-answer.ts'
import type { StreamAnswer } from '../../http/stream-route.ts'
import { gatewayLimits } from '../../limits/ipfs.ts'
import { parseCid } from '../block-name.ts'
import type { BlockSources } from '../block-sources.ts'
import { writeCar } from '../car/car-writer.ts'
import type { ByteSpan } from '../dag/entity.ts'
import { type Block, walkTree } from '../dag/walk.ts'
import type { IpfsMetrics } from '../ipfs-metrics.ts'
import { PathMissing, type ResolvedPath, resolvePath } from '../trees/resolve-path.ts'
import { describeNode, readFile } from '../trees/unixfs-reader.ts'
import { type EntityBytes, type GatewayRequest, readGatewayRequest } from './gateway-request.ts'

/** What the gateway stands on. */
export interface GatewayComponents {
  readonly sources: Pick<BlockSources, 'local' | 'shared'>
  readonly metrics: IpfsMetrics
}

/** A request as it came. */
export interface GatewayInput {
  /** Path and query as sent. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly signal: AbortSignal
}

/** What a CID names never changes: a year less some. */
const IMMUTABLE = 'public, max-age=29030400, immutable'

/** The root of a CAR in which no tree is whole: the CID of no bytes, inline. */
const NOTHING = parseCid('bafkqaaa')

/** Answers `/ipfs/`. */
export class Gateway {
  readonly #components: GatewayComponents

  constructor(components: GatewayComponents) {
    this.#components = components
  }

  /**
   * The answer to one request.
   * @throws KairoError `ERR_INVALID_INPUT`, `ERR_NOT_FOUND`, `ERR_PROTOCOL` for damaged trees.
   */
  async answer(input: GatewayInput): Promise<StreamAnswer> {
    const { gateway } = this.#components.metrics
    let format = 'none'
    try {
      const request = readGatewayRequest(input.url, input.headers)
      format = request.wanted?.format ?? 'none'
      const answer = await this.#answer(request, input)
      gateway.inc({ format, status: String(answer.status) })
      return answer
    } catch (error) {
      gateway.inc({ format, status: isKairoError(error) ? error.code : 'bug' })
      throw error
    }
  }

  async #answer(request: GatewayRequest, input: GatewayInput): Promise<StreamAnswer> {
    const { wanted } = request
    if (wanted === undefined) {
      return refuse(406, input, 'ask for application/vnd.ipld.raw or application/vnd.ipld.car')
    }
    if (wanted.format === 'raw' && request.segments.length > 0) {
      throw new KairoError(
        'ERR_INVALID_INPUT',
        'a raw block is asked for by its own CID, without a path',
      )
    }
    if (request.onlyIfCached && !(await this.#isHere(request.root, input.signal))) {
      return refuse(412, input, 'the block is not cached here')
    }
    const { shared } = this.#components.sources
    try {
      const path = await resolvePath(shared, request.root, request.segments, input)
      if (wanted.format === 'raw') return await this.#block(request, path, input)
      if (wanted.format === 'car') return await this.#car(request, path, wanted.duplicates, input)
      return await this.#file(request, path, input)
    } catch (error) {
      if (wanted.format !== 'car' || !(error instanceof PathMissing)) throw error
      return absence(request, error, wanted.duplicates, input)
    }
  }

  async #isHere(cid: CID, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#components.sources.local.get(cid, { signal })
      return true
    } catch (error) {
      if (isKairoError(error, 'ERR_NOT_FOUND')) return false
      throw error
    }
  }

  async #block(
    request: GatewayRequest,
    path: ResolvedPath,
    input: GatewayInput,
  ): Promise<StreamAnswer> {
    const bytes = await this.#components.sources.shared.get(path.cid, input)
    return rangedAnswer(input, {
      length: bytes.byteLength,
      etag: `"${path.cid}.raw"`,
      headers: {
        ...commonHeaders(request, path),
        'content-type': 'application/vnd.ipld.raw',
        'content-disposition': attachment(request.filename ?? `${path.cid}.bin`),
      },
      read: async function* (first, last) {
        yield bytes.subarray(first, last + 1)
      },
    })
  }

  async #car(
    request: GatewayRequest,
    path: ResolvedPath,
    duplicates: boolean,
    input: GatewayInput,
  ): Promise<StreamAnswer> {
    const { shared } = this.#components.sources
    // Once the head has left there is no telling that the root is missing.
    await shared.get(path.cid, input)
    const { scope, span } = await this.#extent(request, path, input)
    const headers = carHeaders(request, path, duplicates)
    if (hasCar(input, headers)) return { status: 304, headers }
    const seen = new Set<string>()
    const walk = walkTree(shared, path.cid, {
      ...{ scope, duplicates, seen, signal: input.signal },
      ...(span === undefined ? {} : { span }),
      ...(duplicates ? { blocksMax: gatewayLimits.duplicateBlocksMax } : {}),
    })
    const blocks = this.#ended(prefixed(path.blocks, walk))
    // The root of the CAR is where the path ends: whoever imports it has the whole tree below that.
    return { status: 200, headers, body: writeCar(path.cid, blocks) }
  }

  /** What of the tree is wanted, once it is known how long the file is. */
  async #extent(
    request: GatewayRequest,
    path: ResolvedPath,
    input: GatewayInput,
  ): Promise<{ scope: GatewayRequest['scope']; span: ByteSpan | undefined }> {
    const { scope, entityBytes } = request
    if (entityBytes === undefined) return { scope, span: undefined }
    const node = await describeNode(this.#components.sources.shared, path.cid, input)
    if (node.type !== 'file') return { scope, span: undefined }
    const span = spanOf(entityBytes, node.bytes)
    return span.start < span.end ? { scope, span } : { scope: 'block', span: undefined }
  }

  /** A tree that is not whole here ends the answer early; that is the client's to see, and no failure of this peer. */
  async *#ended(blocks: AsyncIterable<Block>): AsyncGenerator<Block> {
    try {
      yield* blocks
    } catch (cause) {
      if (!isKairoError(cause)) throw cause
      this.#components.metrics.limits.inc({ limit: 'incomplete' })
      throw new KairoError('ERR_STOPPED', 'the tree is not whole here', { cause })
    }
  }

  async #file(
    request: GatewayRequest,
    path: ResolvedPath,
    input: GatewayInput,
  ): Promise<StreamAnswer> {
    const { shared } = this.#components.sources
    const node = await describeNode(shared, path.cid, input)
    if (node.type !== 'file') {
      const hint = 'this is no file; ask with ?format=car for the tree, or name a file in it'
      return refuse(406, input, hint)
    }
    const name = request.filename ?? request.segments.at(-1) ?? path.cid.toString()
    return rangedAnswer(input, {
      length: node.bytes,
      etag: `"${path.cid}"`,
      headers: {
        ...commonHeaders(request, path),
        // Strangers' files come from the origin of the admin page: they are saved, and never shown or run there.
        'content-type': 'application/octet-stream',
        'content-disposition': attachment(name),
        'content-security-policy': "default-src 'none'; sandbox",
      },
      read: (first, last) =>
        readFile(shared, path.cid, { start: first, end: last + 1 }, { signal: input.signal }),
    })
  }
}

/** That there is no such path, for the client to see by itself: the blocks in which it would have to be. */
function absence(
  request: GatewayRequest,
  { blocks, roots }: PathMissing,
  duplicates: boolean,
  input: GatewayInput,
): StreamAnswer {
  const headers = carHeaders(request, { cid: request.root, roots }, duplicates)
  if (hasCar(input, headers)) return { status: 304, headers }
  return { status: 200, headers, body: writeCar(NOTHING, prefixed(blocks, [])) }
}

function carHeaders(
  request: GatewayRequest,
  path: Pick<ResolvedPath, 'cid' | 'roots'>,
  duplicates: boolean,
) {
  const dups = duplicates ? 'y' : 'n'
  return {
    ...commonHeaders(request, path),
    etag: `W/"${path.cid}.car.${carTag(request, dups)}"`,
    'accept-ranges': 'none',
    'content-type': `application/vnd.ipld.car; version=1; order=dfs; dups=${dups}`,
    'content-disposition': attachment(request.filename ?? `${path.cid}.car`),
  }
}

function hasCar({ headers }: GatewayInput, { etag }: { readonly etag: string }): boolean {
  return matchesTag(headers['if-none-match'], etag.slice('W/'.length))
}

/** Blocks that prove the path, then those of the tree. */
async function* prefixed(
  before: readonly Block[],
  after: AsyncIterable<Block> | Iterable<Block>,
): AsyncGenerator<Block> {
  yield* before
  yield* after
}

/**
 * The bytes that a range means in a file of a length.
 * @throws KairoError `ERR_INVALID_INPUT` for a range that lies outside altogether.
 */
function spanOf({ from, to }: EntityBytes, length: number): ByteSpan {
  const start = Math.max(from < 0 ? length + from : from, 0)
  const last = to === '*' ? length - 1 : to < 0 ? length + to : to
  if (start >= length && length > 0) {
    throw new KairoError('ERR_INVALID_INPUT', `entity-bytes lies outside the ${length} bytes`)
  }
  return { start, end: Math.min(last + 1, length) }
}

function commonHeaders(
  request: GatewayRequest,
  path: Pick<ResolvedPath, 'roots'>,
): Record<string, string> {
  const { contentLocation } = request
  return {
    ...(contentLocation === undefined ? {} : { 'content-location': contentLocation }),
    'cache-control': IMMUTABLE,
    'x-content-type-options': 'nosniff',
    'x-ipfs-path': request.path,
    'x-ipfs-roots': path.roots.join(','),
    vary: 'accept',
  }
}

/** Tells CARs of one root apart by what is in them. */
function carTag(request: GatewayRequest, dups: string): string {
  const { root, segments, scope, entityBytes } = request
  const range = entityBytes === undefined ? '' : `${entityBytes.from}:${entityBytes.to}`
  const parts = [root.toString(), ...segments, '', scope, range, 'dfs', dups]
  return createHash('sha256').update(parts.join('\n')).digest('base64url').slice(0, 16)
}

function refuse(status: number, { url }: GatewayInput, detail: string): StreamAnswer {
  const code = status === 412 ? 'ERR_NOT_FOUND' : 'ERR_INVALID_INPUT'
  return problemAnswer(createProblem(status, code, { detail, instance: pathOf(url) }))
}
