/** The caches of the `edge` bench, each in a process of its own before the same origin, all on the same core. */
import { mkdir, readdir, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { kairoVersion, type ReadyLine, startKairo } from './kairo-process.ts'
import { type NginxProcess, startNginx } from './nginx.ts'
import { type ServedProcess, servedBy, startNodeServer } from './served-process.ts'

/** Connections that nginx may have, those to the origin among them. */
const NGINX_CONNECTIONS_MAX = 18_000

/** The ten seconds of nginx's manager, and a moment. */
const MANAGER_SLEEP_MS = 11_000

/** Bytes of bodies that a cache may hold. */
export interface EdgeCacheSize {
  readonly memoryBytes: number
  readonly diskBytes: number
}

/** The origin, which counts what it is asked for. */
export interface EdgeOrigin extends ServedProcess {
  /** Requests since this was last called, by path; those for objects of the trace under `/z`. */
  counts(): Promise<Readonly<Record<string, number>>>
}

/** Starts the origin. */
export async function startOrigin(): Promise<EdgeOrigin> {
  const server = await startNodeServer('origin', './edge-origin.ts', { core: 'load' })
  return {
    ...server,
    counts: async () => {
      const answer = await fetch(`http://127.0.0.1:${server.port}/count`)
      return (await answer.json()) as Record<string, number>
    },
  }
}

/** The whole program as `kairo cdn` runs it. */
export async function startKairoCache(
  origin: ServedProcess,
  { memoryBytes, diskBytes }: EdgeCacheSize,
  {
    openFiles = 0,
    isPinned = true,
  }: { readonly openFiles?: number; readonly isPinned?: boolean } = {},
): Promise<ServedProcess & { readonly ready: ReadyLine }> {
  const sizes = [
    ...['--memory-bytes-max', String(memoryBytes)],
    ...['--disk-bytes-max', String(diskBytes)],
  ]
  const url = `http://127.0.0.1:${origin.port}`
  const peer = await startKairo(['--origin', url, '--no-mdns', ...sizes], {
    command: 'cdn',
    ...(isPinned && { core: 'server' }),
    openFiles,
  })
  const port = Number(new URL(peer.ready.http).port)
  return {
    ...servedBy('kairo', kairoVersion(), port, peer),
    ready: peer.ready,
    stop: () => peer.stop(),
  }
}

/** nginx with proxy_cache in memory (tmpfs). */
export interface NginxCache extends NginxProcess {
  /** Bytes of files, in whole blocks, that its cache holds now. */
  heldBytes(): Promise<number>
}

/** How nginx keeps to its size. */
export interface NginxCacheOptions {
  /**
   * True to have it keep to its size at once. Its manager looks every ten seconds; see {@link wakeManager}. Files that it has deleted are
   * then not kept open either, or it would find some of them again.
   */
  readonly isStrict?: boolean
}

/** Starts nginx before the origin; undefined where it is not installed. */
export async function startNginxCache(
  origin: ServedProcess,
  { memoryBytes, diskBytes }: EdgeCacheSize,
  { isStrict = false }: NginxCacheOptions = {},
): Promise<NginxCache | undefined> {
  const cache = `keys_zone=bench:64m max_size=${memoryBytes + diskBytes} inactive=1d
    use_temp_path=off manager_files=10000 manager_threshold=1s manager_sleep=5ms`
  const proxy = `proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";`
  const server = await startNginx({
    // How strict it is says nothing of its speed, which is then not looked at.
    ...(!isStrict && { core: 'server' }),
    connectionsMax: NGINX_CONNECTIONS_MAX,
    prepare: async (folder) => {
      await mkdir(join(folder, 'cache'))
      await mkdir(join(folder, 'awake'))
    },
    http: (folder, port) => `${isStrict ? '' : 'open_file_cache max=4000;'}
  proxy_cache_path ${folder}/cache levels=1:2 ${cache};
  proxy_cache_path ${folder}/awake keys_zone=awake:1m inactive=0 manager_files=1 manager_sleep=5ms;
  upstream origin { server 127.0.0.1:${origin.port}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { ${proxy} proxy_cache bench; proxy_cache_lock on; add_header X-Cache $upstream_cache_status; }
    location /hold { ${proxy} proxy_cache awake; proxy_read_timeout 1h; }
  }`,
  })
  if (server === undefined) return undefined
  const letGo = isStrict ? await wakeManager(server.port) : () => {}
  return {
    ...server,
    heldBytes: () => fileBytes(join(server.folder, 'cache')),
    stop: async () => {
      letGo()
      await server.stop()
    },
  }
}

/**
 * Keeps nginx's cache manager awake. It sleeps for ten seconds whenever all its caches are within their sizes, in which time a fast trace
 * brings many times what the cache may hold. A second cache, whose objects expire at once and into which one is being read for as long
 * as the bench runs, gives it something to come back to every 5 ms; each time it looks at the first one too.
 */
async function wakeManager(port: number): Promise<() => void> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.write('GET /hold HTTP/1.1\r\nHost: bench\r\n\r\n')
  // It looked when it was started, and sleeps now.
  await new Promise((resolve) => setTimeout(resolve, MANAGER_SLEEP_MS))
  if (socket.closed) throw new Error('nginx does not hold a request')
  return () => socket.destroy()
}

async function fileBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(
    files.map(({ parentPath, name }) =>
      // Deleted while this looks.
      stat(join(parentPath, name)).then(
        ({ blocks }) => blocks * 512,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
