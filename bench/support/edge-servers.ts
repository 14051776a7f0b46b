/** Starts the caches of the `edge` bench, each in a process of its own before the same origin, all on the same core. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { type ChildProgram, startProgram } from './child-program.ts'
import { freePort, portOpens } from './ports.ts'

const run = promisify(execFile)

/** A program that answers HTTP. */
export interface EdgeServer {
  readonly name: string
  readonly version: string
  readonly port: number
  /** The process whose memory is read. */
  readonly pid: number
  stop(): Promise<void>
}

/** Bytes of bodies that a cache may hold. */
export interface EdgeCacheSize {
  readonly memoryBytes: number
  readonly diskBytes: number
}

const taskset = ['/usr/bin/taskset', '/bin/taskset'].find(existsSync)
const hasCores = taskset !== undefined && availableParallelism() > 1

/** Servers run on the first core, load and origin on the others, so that nobody measures who takes whose core. */
export function onCore(core: 'server' | 'load', command: readonly string[]): readonly string[] {
  if (!hasCores) return command
  const cores = core === 'server' ? '0' : `1-${availableParallelism() - 1}`
  return [taskset as string, '-c', cores, ...command]
}

/** The origin. */
export async function startOrigin(): Promise<EdgeServer> {
  const path = new URL('./edge-origin.ts', import.meta.url).pathname
  return await startNode('origin', onCore('load', [process.execPath, path]))
}

/** Kairo's cache. */
export async function startKairo(origin: EdgeServer, size: EdgeCacheSize): Promise<EdgeServer> {
  const folder = await mkdtemp(join(tmpdir(), 'kairo-bench-edge-'))
  const path = new URL('./edge-kairo.ts', import.meta.url).pathname
  const url = `http://127.0.0.1:${origin.port}`
  // As `kairo up` runs itself.
  const flags = ['--heap-growing-percent=200', '--minor-gc-task-trigger=25']
  const sizes = [String(size.memoryBytes), String(size.diskBytes)]
  const command = [process.execPath, ...flags, path, url, folder, ...sizes]
  const server = await startNode('kairo', onCore('server', command))
  return {
    ...server,
    stop: async () => {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function startNode(name: string, command: readonly string[]): Promise<EdgeServer> {
  const [binary = '', ...words] = command
  const program = startProgram(binary, words)
  const lines = createInterface({ input: program.child.stdout as NodeJS.ReadableStream })
  const [line] = (await once(lines, 'line')) as [string]
  const { port } = JSON.parse(line) as { port: number }
  return served(name, process.version, port, program)
}

function served(name: string, version: string, port: number, program: ChildProgram): EdgeServer {
  return { name, version, port, pid: program.child.pid as number, stop: () => program.stop() }
}

/** nginx with proxy_cache in memory (tmpfs) and one worker; undefined where it is not installed. */
export async function startNginx(
  origin: EdgeServer,
  size: EdgeCacheSize,
): Promise<EdgeServer | undefined> {
  const binary = ['/usr/sbin/nginx', '/usr/bin/nginx'].find(existsSync)
  if (binary === undefined) return undefined
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const folder = await mkdtemp(join(base, 'kairo-bench-nginx-'))
  await mkdir(join(folder, 'cache'))
  const port = await freePort()
  await writeFile(join(folder, 'nginx.conf'), nginxConfig(folder, port, origin.port, size))
  const [command = '', ...words] = onCore('server', [
    ...[binary, '-p', folder, '-c', join(folder, 'nginx.conf')],
  ])
  const program = startProgram(command, words)
  await portOpens(port, 5_000)
  const { stderr } = await run(binary, ['-v'])
  const master = program.child.pid
  const children = await readFile(`/proc/${master}/task/${master}/children`, 'utf8')
  return {
    name: 'nginx',
    version: stderr.trim().replace(/^.*\//, ''),
    port,
    pid: Number(children.trim().split(' ')[0]),
    stop: async () => {
      await program.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function nginxConfig(folder: string, port: number, origin: number, size: EdgeCacheSize): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n  ')
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  const bytes = size.memoryBytes + size.diskBytes
  return `${user}daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 19000; }
http {
  ${temporary}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  open_file_cache max=4000;
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=bench:64m max_size=${bytes} inactive=1d
    use_temp_path=off manager_files=10000 manager_threshold=1s manager_sleep=5ms;
  upstream origin { server 127.0.0.1:${origin}; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache bench;
      proxy_cache_lock on;
      add_header X-Cache $upstream_cache_status;
    }
  }
}
`
}

/** Varnish with bodies in RAM; undefined where it is not installed. */
export async function startVarnish(
  origin: EdgeServer,
  size: EdgeCacheSize,
): Promise<EdgeServer | undefined> {
  const binary = ['/usr/sbin/varnishd', '/usr/bin/varnishd'].find(existsSync)
  if (binary === undefined) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'kairo-bench-varnish-'))
  const port = await freePort()
  const [command = '', ...words] = onCore('server', [
    ...[binary, '-F', '-n', folder, '-j', 'none'],
    ...['-a', `127.0.0.1:${port}`, '-b', `127.0.0.1:${origin.port}`],
    ...['-s', `malloc,${size.memoryBytes}`, '-t', '86400', '-p', 'timeout_idle=600'],
  ])
  const program = startProgram(command, words)
  await portOpens(port, 10_000)
  const { stderr } = await run(binary, ['-V'])
  return {
    ...served('varnish', /varnish-([\d.]+)/.exec(stderr)?.[1] ?? 'unknown', port, program),
    stop: async () => {
      await program.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
