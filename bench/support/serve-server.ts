/** nginx with the two objects of the `serve` bench. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startNginx } from './nginx.ts'
import { part, playlist, servePaths, serveTypes } from './serve-bodies.ts'
import type { ServedProcess } from './served-process.ts'

/** It sends files from memory (tmpfs); undefined where it is not installed. */
export async function startServingNginx(): Promise<ServedProcess | undefined> {
  return await startNginx({
    connectionsMax: 1_024,
    prepare: async (folder) => {
      await mkdir(join(folder, 'root/live/bench'), { recursive: true })
      await writeFile(join(folder, 'root', servePaths.playlist), playlist)
      await writeFile(join(folder, 'root', servePaths.part), part)
    },
    http: (folder, port) => `open_file_cache max=16;
  types { ${serveTypes.playlist} m3u8; ${serveTypes.part} m4s; }
  server { listen 127.0.0.1:${port} backlog=1024; root ${folder}/root; add_header Cache-Control max-age=1; }`,
  })
}
