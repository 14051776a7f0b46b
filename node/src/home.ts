/**
 * The home folder: where a peer keeps its identity, keys, state and cached objects, and how a second process
 * (`kairo status`) finds the one that runs.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { KairoError } from './errors.ts'
import { replaceFile } from './files.ts'
import { parseJson } from './json.ts'

/** Paths inside one home folder. */
export interface Home {
  readonly root: string
  /** libp2p identity. */
  readonly identityFile: string
  /** One file a stream: keys and names. */
  readonly streamsDirectory: string
  /** One file a stream: what its owner chose for it. */
  readonly streamOptionsDirectory: string
  /** Presets of the operator's own; made by hand. */
  readonly presetsDirectory: string
  /** Recordings and videos on demand: one folder each. */
  readonly vodDirectory: string
  /** DVR windows of live streams: one folder each. */
  readonly dvrDirectory: string
  /** Heads of downloads; may be removed at any time. */
  readonly downloadsDirectory: string
  /** Files of the watched folder that were taken. */
  readonly watchFolderFile: string
  /** Uploads under way. */
  readonly uploadsDirectory: string
  readonly operatorTokenFile: string
  /** Level database of what must survive a restart; its lock also keeps a second peer out. */
  readonly stateDirectory: string
  /** libp2p peer store. */
  readonly networkDirectory: string
  /** Lists of the videos of other peers; one file each. */
  readonly videosDirectory: string
  /** Cached objects. */
  readonly contentDirectory: string
  /** Host rules, and the index of cached responses. */
  readonly cdnDirectory: string
  /** One file a kept IPFS tree. */
  readonly ipfsDirectory: string
  /** What this peer holds of its region: the tracker's log, and who it is there. */
  readonly trackerDirectory: string
  /** Ports that were free last time. */
  readonly portsFile: string
  /** Where the running peer answers. */
  readonly runningFile: string
}

/**
 * Creates the folder (mode 0700) where it is missing.
 * @throws KairoError `ERR_STORAGE` when it cannot be written.
 */
export function openHome(root: string): Home {
  const home = homeAt(root)
  try {
    mkdirSync(home.streamsDirectory, { recursive: true, mode: 0o700 })
    chmodSync(root, 0o700)
  } catch (cause) {
    throw new KairoError(
      'ERR_STORAGE',
      `cannot write the home folder ${root}: ${(cause as Error).message}. Choose another with --home.`,
      { cause },
    )
  }
  return home
}

/** The paths, without touching the disk. */
export function homeAt(root: string): Home {
  return {
    root,
    identityFile: join(root, 'identity.key'),
    streamsDirectory: join(root, 'streams'),
    streamOptionsDirectory: join(root, 'stream-options'),
    presetsDirectory: join(root, 'presets'),
    vodDirectory: join(root, 'vod'),
    dvrDirectory: join(root, 'dvr'),
    downloadsDirectory: join(root, 'downloads'),
    watchFolderFile: join(root, 'watch-folder.json'),
    uploadsDirectory: join(root, 'uploads'),
    operatorTokenFile: join(root, 'operator.token'),
    stateDirectory: join(root, 'state'),
    networkDirectory: join(root, 'network'),
    videosDirectory: join(root, 'videos'),
    contentDirectory: join(root, 'content'),
    cdnDirectory: join(root, 'cdn'),
    ipfsDirectory: join(root, 'ipfs'),
    trackerDirectory: join(root, 'tracker'),
    portsFile: join(root, 'ports.json'),
    runningFile: join(root, 'running.json'),
  }
}

const runningSchema = z.object({ pid: z.number().int().positive(), http: z.url() })

/** How the running peer of a home folder is reached. */
export type RunningPeer = z.output<typeof runningSchema>

/** Notes where this peer answers, for other commands on the machine. */
export function writeRunning(home: Home, running: RunningPeer): void {
  replaceFile(home.runningFile, `${JSON.stringify(running)}\n`)
}

/** Takes this process's note back; the note of another peer, whose home this one could not get, stays. */
export function clearRunning(home: Home): void {
  if (readRunning(home)?.pid === process.pid) rmSync(home.runningFile, { force: true })
}

/** The peer that runs on this home folder, if its process is there. */
export function readRunning(home: Home): RunningPeer | undefined {
  let text: string
  try {
    text = readFileSync(home.runningFile, 'utf8')
  } catch {
    // No note: no peer has run here, or it stopped in order.
    return undefined
  }
  const parsed = runningSchema.safeParse(parseJson(text))
  return parsed.success && processExists(parsed.data.pid) ? parsed.data : undefined
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
