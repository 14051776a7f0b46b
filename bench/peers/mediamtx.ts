/**
 * MediaMTX (https://github.com/bluenviron/mediamtx), the live server that Kairo's ingest is measured against. Where no
 * `mediamtx` is on the search path it is built once from its Go module, with the two files that its release script
 * fetches (its own version, and hls.js) put in place; the binary is kept in the benches' cache folder.
 */
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheFolder } from '../support/cache-folder.ts'
import { runProgram, startProgram } from '../support/child-program.ts'
import { buildGoProgram, findGo, onPath } from '../support/go-module.ts'
import { freePort, portOpens } from '../support/ports.ts'

const MODULE = 'github.com/bluenviron/mediamtx'
const VERSION = 'v1.14.0'
const START_MS = 15_000

/** A running MediaMTX. */
export interface Mediamtx {
  readonly version: string
  readonly pid: number | undefined
  /** `rtmp://127.0.0.1:port/live`; the stream key is free to choose. */
  readonly rtmp: string
  /** The master playlist of a stream. */
  playlist(streamKey: string): string
  stop(): Promise<void>
}

/** The binary, built when it is not there yet; undefined where neither MediaMTX nor Go is installed. */
export async function findMediamtx(): Promise<string | undefined> {
  const built = join(cacheFolder(), `mediamtx-${VERSION}`)
  if (existsSync(built)) return built
  const installed = onPath('mediamtx')
  if (installed !== undefined) return installed
  const go = findGo()
  if (go === undefined) return undefined
  try {
    console.error(`building MediaMTX ${VERSION} (once, some minutes) ...`)
    const from = { module: MODULE, version: VERSION, package: '.' }
    await buildGoProgram(go, { ...from, output: built, prepare: addReleaseFiles })
    return built
  } catch (error) {
    // Without the module there is no rival; the bench names it as missing and measures the rest.
    console.error(`MediaMTX could not be built: ${(error as Error).message}`)
    return undefined
  }
}

/** Starts it on loopback: RTMP in, LL-HLS out, parts of 200 ms, segments of 2 s. */
export async function startMediamtx(binary: string): Promise<Mediamtx> {
  const [rtmpPort, hlsPort] = [await freePort(), await freePort()]
  const folder = await mkdtemp(join(tmpdir(), 'kairo-mediamtx-'))
  const config = join(folder, 'mediamtx.yml')
  await writeFile(config, configuration(rtmpPort, hlsPort))
  const program = startProgram(binary, [config], { cwd: folder })
  const stop = async (): Promise<void> => {
    await program.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await portOpens(rtmpPort, START_MS)
    await portOpens(hlsPort, START_MS)
  } catch (error) {
    await stop()
    throw new Error(`MediaMTX did not start: ${program.log()}`, { cause: error })
  }
  return {
    version: (await runProgram(binary, ['--version'])).trim().replace(/^v/, ''),
    pid: program.child.pid,
    rtmp: `rtmp://127.0.0.1:${rtmpPort}/live`,
    playlist: (streamKey) => `http://127.0.0.1:${hlsPort}/live/${streamKey}/index.m3u8`,
    stop,
  }
}

function configuration(rtmpPort: number, hlsPort: number): string {
  return [
    'logLevel: warn',
    ...['rtsp', 'srt', 'webrtc', 'api', 'metrics'].map((name) => `${name}: no`),
    `rtmpAddress: 127.0.0.1:${rtmpPort}`,
    `hlsAddress: 127.0.0.1:${hlsPort}`,
    'hlsAlwaysRemux: yes',
    'hlsVariant: lowLatency',
    'hlsSegmentCount: 7',
    'hlsSegmentDuration: 2s',
    'hlsPartDuration: 200ms',
    'paths:',
    '  all_others:',
    '',
  ].join('\n')
}

/** What its release script fetches. */
async function addReleaseFiles(folder: string): Promise<void> {
  await copyFile(
    join(import.meta.dirname, '../../node_modules/hls.js/dist/hls.min.js'),
    join(folder, 'internal/servers/hls/hls.min.js'),
  )
  await writeFile(join(folder, 'internal/core/VERSION'), VERSION)
}
