/** nginx with one worker, as the benches that compare with it start it. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startProgram } from './child-program.ts'
import { onCore } from './cores.ts'
import { freePort, portOpens } from './ports.ts'
import { type ServedProcess, servedBy } from './served-process.ts'
import { tempFolder } from './temp-folder.ts'

const run = promisify(execFile)
const START_MS = 10_000

/** What nginx is to serve. */
export interface NginxInit {
  /** Directives of the `http` block, given the folder and the port to listen on. */
  readonly http: (folder: string, port: number) => string
  /** Puts into the folder, which is in RAM, what the directives name. */
  readonly prepare?: (folder: string) => Promise<void>
  /** Where it runs; anywhere without it. */
  readonly core?: 'server'
  readonly connectionsMax: number
}

/** Debian's nginx, or one of one's own. */
export interface NginxProcess extends ServedProcess {
  readonly folder: string
}

/** Starts it; undefined where it is not installed. Its folder goes when it stops. @throws Error with its output when it does not start. */
export async function startNginx(init: NginxInit): Promise<NginxProcess | undefined> {
  const binary = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/bin/nginx'].find(existsSync)
  if (binary === undefined) return undefined
  const { path: folder, remove } = tempFolder('nginx', { inMemory: true })
  await init.prepare?.(folder)
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  await writeFile(file, configuration(folder, port, init))
  const plain = [binary, '-p', folder, '-e', 'stderr', '-c', file]
  const [command = '', ...words] = init.core === undefined ? plain : onCore(init.core, plain)
  const program = startProgram(command, words)
  try {
    await portOpens(port, START_MS)
  } catch (cause) {
    await program.stop()
    remove()
    throw new Error(`nginx does not start: ${program.log()}`, { cause })
  }
  const { stderr } = await run(binary, ['-v'])
  const version = stderr.trim().replace(/^.*\//, '')
  return { ...servedBy('nginx', version, port, program, remove), folder }
}

function configuration(folder: string, port: number, init: NginxInit): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n  ')
  // Started as root, nginx would give its worker a user who may not read the folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  return `${user}daemon off;
worker_processes 1;
worker_rlimit_nofile ${init.connectionsMax + 1_000};
pid ${folder}/nginx.pid;
error_log ${folder}/error.log emerg;
events { worker_connections ${init.connectionsMax}; }
http {
  ${temporary}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  ${init.http(folder, port)}
}
`
}
