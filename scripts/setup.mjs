/**
 * Makes a fresh clone ready: packages installed, a Node 24 that runs, web pages built. Runs on Node 20 and newer with
 * nothing installed, so it is plain JavaScript without dependencies. Each step leaves a stamp with the hash of what it
 * depends on; when nothing has changed, set-up costs a few milliseconds.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { withProgress } from './lib/progress.mjs'
import { exitWith, runInPlace, runQuietly, SetupError } from './lib/run.mjs'
import { fileMark, filesBelow, hashFiles, readStamp, writeStamp } from './lib/stamps.mjs'

/** The repository's root. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const NODE_MAJOR_MIN = 24
const installStamp = join(root, 'node_modules/.kairo-install.json')
const webStamp = join(root, 'node_modules/.kairo-web.json')
const packagedNode = join(
  root,
  'node_modules/node/bin',
  process.platform === 'win32' ? 'node.exe' : 'node',
)

/**
 * Everything `npm start` needs, once.
 * @param {{ web?: boolean }} [options] `web: false` leaves the web pages as they are
 * @returns {Promise<string>} the path of a Node that is new enough to run the sources
 */
export async function setup({ web = true } = {}) {
  const wanted = hashDependencies()
  if (!isInstalled(wanted)) await locked(() => install(wanted))
  const node = await usableNode()
  if (web) await buildWeb(node)
  return node
}

/**
 * Runs a TypeScript entry of the repository under the right Node, in our place.
 * @param {string} node as {@link setup} gives it
 * @param {string[]} args script and its arguments
 * @param {(output: import('node:stream').Readable) => Promise<void>} [read] takes its stdout instead of ours
 */
export function runUnderNode(node, args, read = undefined) {
  // Children that ask for `node` by name must find the same one.
  const { PATH = '' } = process.env
  const path = [dirname(node), join(root, 'node_modules/.bin'), PATH].join(delimiter)
  return runInPlace(node, args, { cwd: root, env: { ...process.env, PATH: path } }, read)
}

/** Hash of all that decides what gets installed; a changed script or description is no reason to install again. */
function hashDependencies() {
  const read = (/** @type {string} */ folder) =>
    JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const main = read('.')
  const manifests = ['.', ...main.workspaces].map((folder) => {
    const { dependencies, devDependencies, optionalDependencies, overrides, allowScripts } =
      read(folder)
    return { folder, dependencies, devDependencies, optionalDependencies, overrides, allowScripts }
  })
  const lock = hashFiles(root, ['package-lock.json'])
  return createHash('sha256').update(JSON.stringify(manifests)).update(lock).digest('hex')
}

function isInstalled(/** @type {string} */ wanted) {
  const stamp = readStamp(installStamp)
  if (stamp?.dependencies === wanted) return true
  if (stamp !== undefined || !matchesLock()) return false
  // Installed by hand with npm: take it as it is instead of installing the same again.
  writeStamp(installStamp, { dependencies: wanted })
  return true
}

/** True when npm's own record of what it installed has every package that the lock file asks of this platform. */
function matchesLock() {
  const installed = readStamp(join(root, 'node_modules/.package-lock.json'))
  if (installed === undefined) return false
  const lock = readStamp(join(root, 'package-lock.json'))
  const have = /** @type {Record<string, { version?: string }>} */ (installed.packages)
  const want = /** @type {Record<string, Record<string, unknown>>} */ (lock?.packages ?? {})
  return Object.entries(want).every(([path, entry]) => {
    if (!path.startsWith('node_modules/') || entry.optional || entry.devOptional) return true
    if (entry.peer && have[path] === undefined) return true
    return have[path]?.version === entry.version && existsSync(join(root, path))
  })
}

async function install(/** @type {string} */ wanted) {
  if (isInstalled(wanted)) return // Another set-up did it while this one waited.
  const env = { ...process.env, SKIP_FFMPEG: 'true' }
  await withProgress('Installing packages (once, about a minute)', () =>
    npm(['ci', '--no-audit', '--no-fund', '--include=dev'], { cwd: root, env }),
  )
  writeStamp(installStamp, { dependencies: wanted })
}

function npm(
  /** @type {string[]} */ args,
  /** @type {import('node:child_process').SpawnOptions} */ options,
) {
  const script = process.env.npm_execpath
  if (script?.endsWith('.js')) return runQuietly(process.execPath, [script, ...args], options)
  return runQuietly('npm', args, { ...options, shell: process.platform === 'win32' })
}

async function usableNode() {
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) return process.execPath
  const stamp = readStamp(installStamp) ?? {}
  const mark = fileMark(packagedNode)
  if (mark !== undefined && stamp.node === mark) return packagedNode
  if (packagedNodeMajor() < NODE_MAJOR_MIN) await locked(fetchNode)
  if (packagedNodeMajor() < NODE_MAJOR_MIN) {
    throw new SetupError(
      `Kairo needs Node ${NODE_MAJOR_MIN} or newer; this is ${process.version}, and the one from the npm package "node" ` +
        `does not run on ${process.platform}-${process.arch}. Install Node ${NODE_MAJOR_MIN} from https://nodejs.org and try again.`,
    )
  }
  writeStamp(installStamp, { ...stamp, node: fileMark(packagedNode) })
  return packagedNode
}

function packagedNodeMajor() {
  const { stdout, status } = spawnSync(packagedNode, ['--version'], { encoding: 'utf8' })
  return status === 0 ? Number(/^v(\d+)/.exec(stdout)?.[1] ?? 0) : 0
}

/**
 * The package `node` fetches the binary of this platform in an install script, which npm may have been told to skip;
 * running that script again repairs it.
 */
async function fetchNode() {
  const folder = join(root, 'node_modules/node')
  const script = join(folder, 'installArchSpecificPackage.js')
  if (!existsSync(script)) {
    throw new SetupError('the npm package "node" is not installed: run "npm ci" and try again')
  }
  await withProgress(`Fetching Node ${NODE_MAJOR_MIN} (the binary is missing)`, () =>
    runQuietly(process.execPath, [script], { cwd: folder }),
  )
}

async function buildWeb(/** @type {string} */ node) {
  if (!existsSync(join(root, 'node/web/index.html'))) return
  const wanted = hashFiles(root, [...filesBelow(root, 'node/web'), 'package-lock.json'])
  const isBuilt = () =>
    readStamp(webStamp)?.sources === wanted && existsSync(join(root, 'node/web/dist/index.html'))
  if (isBuilt()) return
  await locked(async () => {
    if (isBuilt()) return
    const vite = join(root, 'node_modules/vite/bin/vite.js')
    await withProgress('Building the web pages', () =>
      runQuietly(node, [vite, 'build'], { cwd: join(root, 'node/web') }),
    )
    writeStamp(webStamp, { sources: wanted })
  })
}

/**
 * Holds the checkout's set-up lock during `work`, so that two peers started at once do not install over one another.
 * @template T
 * @param {() => Promise<T>} work
 */
async function locked(work) {
  const folder = join(root, '.cache')
  const lock = join(folder, 'setup.lock')
  mkdirSync(folder, { recursive: true })
  if (!take(lock)) {
    await withProgress('Waiting for another set-up of this folder', async () => {
      while (!take(lock)) await new Promise((resolve) => setTimeout(resolve, 200))
    })
  }
  try {
    return await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

function take(/** @type {string} */ lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
  }
  const holder = Number(readStamp(lock) ?? 0)
  if (holder > 0 && !isAlive(holder)) rmSync(lock, { force: true }) // Left by a set-up that was killed.
  return false
}

function isAlive(/** @type {number} */ pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM'
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await exitWith(async () => {
    await setup()
    return 0
  })
}
