// Debian's ffmpeg as an SRT caller, and the server that it calls.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { Registry } from 'prom-client'
import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { SrtServer, type SrtServerInit } from '../../src/ingest/srt/server.ts'
import { silentLogger } from '../../src/logger.ts'
import type { AccessUnit } from '../../src/media/access-unit.ts'
import type { Publishing } from '../../src/media/sink.ts'

const run = promisify(execFile)

/** A running server and its figures. */
export interface SrtTarget {
  readonly server: SrtServer
  /** `srt://` address with this stream id, and `linger`, so that the end of what is pushed is not cut off by the caller. */
  url(streamId: string, options?: string, port?: number): string
  /** The value of a metric, summed over the labels that are not given. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
}

/** Starts a server; it ends with the test. */
export async function srtTarget(
  t: Test,
  publishing: Publishing,
  init: Partial<SrtServerInit> & { readonly passphrase?: string } = {},
): Promise<SrtTarget> {
  const registry = new Registry()
  const { passphrase, ...serverInit } = init
  const server = new SrtServer(
    {
      clock: systemClock,
      logger: silentLogger,
      registry,
      publishing,
      passphraseFor: () => passphrase,
    },
    { host: '127.0.0.1', port: 0, ...serverInit },
  )
  await server.start()
  t.teardown(() => server.stop())
  return {
    server,
    url: (streamId, options = '', port = server.address().port) =>
      `srt://127.0.0.1:${port}?streamid=${streamId}&linger=3${options}`,
    metric: (name, labels = {}) => metricOf(registry, name, labels),
  }
}

/** The value of a metric, summed over the labels that are not given. */
export async function metricOf(
  registry: Registry,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const values = (await registry.getSingleMetric(name)?.get())?.values ?? []
  return values
    .filter((value) => Object.entries(labels).every(([key, text]) => value.labels[key] === text))
    .reduce((sum, { value }) => sum + value, 0)
}

/** A running ffmpeg. */
export interface Pusher {
  readonly child: ChildProcess
  /** Exit code and everything it said, when it has ended. */
  readonly done: Promise<{ readonly code: number | null; readonly log: string }>
}

/** Runs ffmpeg with these arguments; ends with the test. */
export function pushWithFfmpeg(t: Test, ...args: readonly string[]): Pusher {
  const child = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'warning', '-nostdin', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  t.teardown(() => child.kill('SIGKILL'))
  return { child, done: once(child, 'close').then(([code]) => ({ code, log })) }
}

/** A packet of a file, its times relative to the first video packet's, 1/90000 s. */
export interface SourcePacket {
  readonly kind: 'video' | 'audio'
  readonly dts: number
  readonly pts: number
  readonly keyframe: boolean
  /** MD5 of its bytes. */
  readonly hash: string
}

/** The packets of one stream of a file, as ffprobe reads them. */
export async function packetsOf(file: string, stream = 'v:0'): Promise<SourcePacket[]> {
  const { stdout } = await run(
    'ffprobe',
    [
      ...['-v', 'error', '-select_streams', stream, '-show_packets', '-show_data_hash', 'md5'],
      ...['-show_entries', 'packet=dts_time,pts_time,flags,data_hash', '-of', 'json', file],
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  )
  const packets = JSON.parse(stdout).packets as {
    readonly dts_time: string
    readonly pts_time: string
    readonly flags: string
    readonly data_hash: string
  }[]
  const first = Number(packets[0]?.dts_time ?? 0)
  return packets.map((packet) => ({
    kind: stream.startsWith('v') ? 'video' : 'audio',
    dts: Math.round((Number(packet.dts_time) - first) * 90_000),
    pts: Math.round((Number(packet.pts_time) - first) * 90_000),
    keyframe: packet.flags.startsWith('K'),
    hash: packet.data_hash.replace('MD5:', ''),
  }))
}

/** The units of one track in the same form. */
export function packetsOfUnits(
  units: readonly AccessUnit[],
  kind: 'video' | 'audio',
  track = 0,
): SourcePacket[] {
  const chosen = units.filter((unit) => unit.kind === kind && (unit.track ?? 0) === track)
  const first = chosen[0]?.dts ?? 0
  return chosen.map((unit) => ({
    kind,
    dts: unit.dts - first,
    pts: unit.pts - first,
    keyframe: unit.keyframe,
    hash: createHash('md5').update(unit.data).digest('hex'),
  }))
}
