/** What `kairo doctor` can say of a machine, whether or not a peer runs on it: Node, home folder, disk, ports, encoders. */
import { accessSync, constants, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseAddress } from '../config/address.ts'
import type { SettingKey, Settings } from '../config/schema.ts'
import { isPortFree } from '../host/ports.ts'
import type { EncoderProbe } from '../media/encoders.ts'
import type { Check } from './check.ts'

const NODE_MAJOR_MIN = 24
const MiB = 1024 * 1024
/** Below this a peer cannot keep even a few streams' windows on disk. */
const DISK_FREE_FAIL_BYTES = 64 * MiB
const DISK_FREE_WARN_BYTES = 1024 * MiB

/** The running Node. */
export function checkNode(version: string = process.versions.node): Check {
  const major = Number(version.split('.')[0])
  if (major >= NODE_MAJOR_MIN) return { name: 'node', status: 'ok', detail: `Node ${version}` }
  return {
    name: 'node',
    status: 'fail',
    detail: `Node ${version} cannot run Kairo's sources`,
    hint: `Start with \`npm start\`, which brings Node ${NODE_MAJOR_MIN}, or install Node ${NODE_MAJOR_MIN} or newer.`,
  }
}

/** Whether the home folder can be written and is nobody else's to read. */
export function checkHome(home: string): Check {
  const existing = nearestExisting(home)
  try {
    accessSync(existing, constants.W_OK)
  } catch {
    return {
      name: 'home',
      status: 'fail',
      detail: `${existing} cannot be written`,
      hint: `Choose another folder with --home, or make ${existing} writable for this user.`,
    }
  }
  if (existing !== home) return { name: 'home', status: 'ok', detail: `${home} will be created` }
  const mode = statSync(home).mode & 0o077
  if (mode === 0) return { name: 'home', status: 'ok', detail: `${home} is private and writable` }
  return {
    name: 'home',
    status: 'warn',
    detail: `${home} holds private keys and other users may look into it`,
    hint: `chmod 700 ${home}`,
  }
}

/** Free space for the disk cache. */
export function checkDisk(
  home: string,
  { diskBytesMax, vodBytesMax }: Pick<Settings, 'diskBytesMax' | 'vodBytesMax'>,
): Check {
  const { bavail, bsize } = statfsSync(nearestExisting(home))
  const free = bavail * bsize
  const [freeMiB, cacheMiB, vodMiB] = [free, diskBytesMax, vodBytesMax].map((bytes) =>
    Math.round(bytes / MiB),
  )
  const detail = `${freeMiB} MiB free; the cache may use up to ${cacheMiB} MiB, videos and recordings up to ${vodMiB} MiB`
  const hint =
    'Free some space, or lower --disk-bytes-max (0 keeps the cache in RAM) or --vod-bytes-max.'
  if (free < DISK_FREE_FAIL_BYTES) return { name: 'disk', status: 'fail', detail, hint }
  if (free < DISK_FREE_WARN_BYTES) return { name: 'disk', status: 'warn', detail, hint }
  return { name: 'disk', status: 'ok', detail }
}

/** Whether the ports that a peer would bind are free; for a machine on which no peer runs yet. */
export async function checkPorts(
  settings: Settings,
  fixed: (key: SettingKey) => boolean,
): Promise<Check[]> {
  const wanted: { name: SettingKey; host: string; port: number }[] = []
  for (const name of ['http', 'rtmp'] as const) {
    const address = parseAddress(settings[name])
    if (address !== undefined) wanted.push({ name, ...address })
  }
  for (const multiaddr of settings.listen) {
    const match = /^\/ip[46]\/([^/]+)\/tcp\/(\d+)/.exec(multiaddr)
    if (match !== null)
      wanted.push({ name: 'listen', host: match[1] ?? '', port: Number(match[2]) })
  }
  return await Promise.all(
    wanted.map(({ name, host, port }) => checkPort(name, host, port, fixed(name))),
  )
}

async function checkPort(
  setting: SettingKey,
  host: string,
  port: number,
  fixed: boolean,
): Promise<Check> {
  const name = `port ${setting}`
  if (port === 0) return { name, status: 'ok', detail: 'any free port' }
  if (await isPortFree(host, port)) return { name, status: 'ok', detail: `${host}:${port} is free` }
  const detail = `${host}:${port} cannot be bound: another program has it, or it needs more rights`
  if (!fixed) return { name, status: 'warn', detail: `${detail}; a free port will be used instead` }
  return {
    name,
    status: 'fail',
    detail,
    hint: `Choose another with --${setting}, or end the program that has it (ss -ltnp 'sport = :${port}').`,
  }
}

/** Which encoders really work here; undefined while they are tried. */
export function checkEncoders(encoders: readonly EncoderProbe[] | undefined): Check {
  if (encoders === undefined) return { name: 'encoders', status: 'ok', detail: 'being tried' }
  const working = encoders.filter(({ ok }) => ok).map(({ name }) => name)
  const missing = encoders.filter(({ ok }) => !ok).map(({ name }) => name)
  const detail = `working: ${working.join(', ') || 'none'}; not here: ${missing.join(', ') || 'none'}`
  if (working.includes('libx264') && working.includes('aac')) {
    return { name: 'encoders', status: 'ok', detail }
  }
  return {
    name: 'encoders',
    status: 'warn',
    detail,
    hint: 'The test stream, transcoding and the making of videos need libx264 and aac from node-av, which has no build for this platform. Streams are published and watched without.',
  }
}

function nearestExisting(path: string): string {
  let current = path
  for (;;) {
    try {
      statSync(current)
      return current
    } catch {
      // Not there yet: look at the folder that would hold it.
      const parent = dirname(current)
      if (parent === current) return current
      current = parent
    }
  }
}
