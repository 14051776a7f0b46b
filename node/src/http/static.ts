/**
 * The built web pages, read into memory once at start and served as plain answers. A request is looked up in a map of
 * what was read; no path is ever built from input.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { KairoError } from '../errors.ts'
import { httpLimits } from '../limits.ts'
import type { PlainHandler, PlainRequest, PreparedResponse } from './prepared-response.ts'

/** What to serve. */
export interface StaticPagesInit {
  /** Folder with the built pages. `index.html` is `/`, `admin.html` is `/admin`; files under `assets/` never change. */
  readonly folder: string
}

/** Pages may load only from here; players take media from blobs (MSE) and any peer. */
const contentSecurityPolicy = [
  "default-src 'self'",
  "connect-src 'self' http: https: ws: wss:",
  "img-src 'self' data: blob: http: https:",
  "media-src 'self' blob: http: https:",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const mediaTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
}
const compressible = new Set([
  '.css',
  '.html',
  '.js',
  '.json',
  '.map',
  '.mjs',
  '.svg',
  '.txt',
  '.wasm',
])

/** A file in one encoding, and its answer to a matching `If-None-Match`. */
interface Variant {
  readonly etag: string
  readonly whole: PreparedResponse
  readonly unchanged: PreparedResponse
}

/** A file in each encoding in which it is smaller. */
interface Page {
  readonly plain: Variant
  readonly gzip: Variant | undefined
  readonly brotli: Variant | undefined
}

/**
 * Reads the folder and gives the handler that serves it.
 * @throws KairoError `ERR_CONFIG` when the folder cannot be read, `ERR_LIMIT` when it holds more than memory is meant for.
 */
export async function loadStaticPages(init: StaticPagesInit): Promise<PlainHandler> {
  const pages = new Map<string, Page>()
  let bytes = 0
  for (const file of await listFiles(init.folder)) {
    const content = await readFile(join(init.folder, file))
    bytes += content.length
    if (pages.size >= httpLimits.staticFilesMax || bytes > httpLimits.staticBytesMax) {
      throw new KairoError('ERR_LIMIT', `the web pages in ${init.folder} are too many or too large`)
    }
    const page = await loadPage(file, content)
    for (const path of pathsOf(file)) {
      pages.set(path, page)
    }
  }
  return (request) => {
    const page = pages.get(request.path)
    return page === undefined ? undefined : choose(page, request)
  }
}

async function listFiles(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .sort()
  } catch (error) {
    throw new KairoError('ERR_CONFIG', `cannot read the web pages in ${folder}`, { cause: error })
  }
}

/** `index.html` is its folder, and a page needs no `.html`. */
function pathsOf(file: string): string[] {
  const path = `/${file}`
  if (path.endsWith('/index.html')) {
    const folder = path.slice(0, -'index.html'.length)
    return folder === '/' ? ['/', path] : [folder, folder.slice(0, -1), path]
  }
  return path.endsWith('.html') ? [path.slice(0, -'.html'.length), path] : [path]
}

async function loadPage(file: string, content: Buffer): Promise<Page> {
  const extension = extname(file).toLowerCase()
  const digest = createHash('sha256').update(content).digest('base64url').slice(0, 22)
  const common: Record<string, string> = {
    'content-type': mediaTypes[extension] ?? 'application/octet-stream',
    'cache-control': file.startsWith('assets/')
      ? 'public, max-age=31536000, immutable'
      : 'no-cache',
    'referrer-policy': 'no-referrer',
    ...(extension === '.html' ? { 'content-security-policy': contentSecurityPolicy } : {}),
    ...(compressible.has(extension) ? { vary: 'Accept-Encoding' } : {}),
  }
  const variant = (encoding: string, body: Buffer): Variant | undefined => {
    if (encoding !== '' && body.length >= content.length) {
      return undefined
    }
    // Each encoding has its own strong tag (RFC 9110 8.8.3.3).
    const etag = `"${digest}${encoding === '' ? '' : `-${encoding}`}"`
    const coding: Record<string, string> = encoding === '' ? {} : { 'content-encoding': encoding }
    const headers = { ...common, ...coding, etag }
    return {
      etag,
      whole: { status: 200, headers, body: [body] },
      unchanged: { status: 304, headers: { ...common, etag }, body: [] },
    }
  }
  const squeeze = compressible.has(extension)
  return {
    plain: variant('', content) as Variant,
    gzip: squeeze ? variant('gzip', await promisify(gzip)(content, { level: 9 })) : undefined,
    brotli: squeeze ? variant('br', await compressBrotli(content)) : undefined,
  }
}

/** Quality 9: within 3 % of the best for a tenth of its time, since this happens at every start. */
function compressBrotli(content: Buffer): Promise<Buffer> {
  return promisify(brotliCompress)(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 9,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
    },
  })
}

function choose(page: Page, request: PlainRequest): PreparedResponse {
  const { acceptEncoding } = request
  const brotli = accepts(acceptEncoding, 'br') ? page.brotli : undefined
  const variant = brotli ?? (accepts(acceptEncoding, 'gzip') ? page.gzip : undefined) ?? page.plain
  return matches(request.ifNoneMatch, variant.etag) ? variant.unchanged : variant.whole
}

/** Weak comparison of entity tags, as `If-None-Match` asks (RFC 9110 13.1.2). */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) {
    return false
  }
  return ifNoneMatch
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === '*' || tag === etag)
}

/** True when the coding is named without `q=0`. */
function accepts(acceptEncoding: string | undefined, coding: string): boolean {
  return (acceptEncoding ?? '').split(',').some((item) => {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    return name === coding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}
