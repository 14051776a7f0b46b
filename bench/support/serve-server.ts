/** Starts the servers of the `serve` bench, each in a process of its own, and reads what the kernel says of them. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { type ChildProgram, startProgram } from './child-program.ts'
import { freePort, portOpens } from './ports.ts'
import { part, playlist, servePaths, serveTypes } from './serve-bodies.ts'

const run = promisify(execFile)
/** USER_HZ: /proc counts CPU time in hundredths of a second on every Linux in use. */
const tickUs = 10_000

/** A server under test. */
export interface ServedProcess {
  readonly name: string
  readonly version: string
  readonly port: number
  /** The process that answers requests. */
  readonly pid: number
  stop(): Promise<void>
}

/** A TypeScript server file that prints `{"port":…}` when it listens. */
export async function startNodeServer(name: string, file: string): Promise<ServedProcess> {
  const path = new URL(file, import.meta.url).pathname
  const program = startProgram(process.execPath, [path])
  const lines = createInterface({ input: program.child.stdout as NodeJS.ReadableStream })
  const [line] = (await once(lines, 'line')) as [string]
  const { port } = JSON.parse(line) as { port: number }
  return served(name, process.version, port, program)
}

function served(name: string, version: string, port: number, program: ChildProgram): ServedProcess {
  return { name, version, port, pid: program.child.pid as number, stop: () => program.stop() }
}

/** nginx with one worker that sends files from memory (tmpfs); undefined where it is not installed. */
export async function startNginx(): Promise<ServedProcess | undefined> {
  const binary = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/bin/nginx'].find(existsSync)
  if (binary === undefined) {
    return undefined
  }
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const folder = await mkdtemp(join(base, 'kairo-bench-nginx-'))
  await mkdir(join(folder, 'root/live/bench'), { recursive: true })
  await writeFile(join(folder, 'root', servePaths.playlist), playlist)
  await writeFile(join(folder, 'root', servePaths.part), part)
  const port = await freePort()
  await writeFile(join(folder, 'nginx.conf'), nginxConfig(folder, port))
  const program = startProgram(binary, ['-p', folder, '-c', join(folder, 'nginx.conf')])
  await portOpens(port, 5_000)
  const { stderr } = await run(binary, ['-v'])
  const master = program.child.pid
  const workers = await readFile(`/proc/${master}/task/${master}/children`, 'utf8')
  return {
    name: 'nginx',
    version: stderr.trim().replace(/^.*\//, ''),
    port,
    pid: Number(workers.trim().split(' ')[0]),
    stop: async () => {
      await program.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function nginxConfig(folder: string, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n  ')
  // Started as root, nginx would give its worker a user who may not read the folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  return `${user}daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  ${temporary}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  open_file_cache max=16;
  types { ${serveTypes.playlist} m3u8; ${serveTypes.part} m4s; }
  server { listen 127.0.0.1:${port} backlog=1024; root ${folder}/root; add_header Cache-Control max-age=1; }
}
`
}

/** CPU time of a process since its start, user and kernel, in microseconds. */
export async function cpuUs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * tickUs
}

/** Memory of a process that is in RAM, in bytes. */
export async function rssBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
}
