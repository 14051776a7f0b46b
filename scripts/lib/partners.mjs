/**
 * The foreign programs that tests and benches run Kairo against. They come with the system, not with npm: where this
 * process may install them it does, elsewhere it says what to install and goes on.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { withProgress } from './progress.mjs'
import { runQuietly, SetupError } from './run.mjs'

/** Debian's package for each program. */
const packages = {
  ffmpeg: 'ffmpeg',
  ffprobe: 'ffmpeg',
  chromium: 'chromium',
  nginx: 'nginx',
  varnishd: 'varnish',
  wrk: 'wrk',
  dig: 'bind9-dnsutils',
  faketime: 'faketime',
  etcd: 'etcd-server',
}

/** @typedef {keyof typeof packages} Partner */

/**
 * @param {string} program
 * @returns {boolean} true when the program is on the search path
 */
function isInstalled(program) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      // Not in this folder.
      return false
    }
  })
}

/**
 * Installs the partners that are missing, or says how to.
 * @param {Partner[]} names
 * @returns {Promise<Partner[]>} those still missing
 */
export async function ensurePartners(names) {
  const missing = names.filter((name) => !isInstalled(name))
  if (missing.length === 0) return []
  const wanted = [...new Set(missing.map((name) => packages[name]))]
  if (process.getuid?.() === 0 && isInstalled('apt-get')) {
    try {
      await withProgress(`Installing ${wanted.join(', ')}`, () => aptInstall(wanted))
    } catch (error) {
      if (!(error instanceof SetupError)) throw error
      process.stderr.write(`${error.message}\n`)
    }
  }
  const left = names.filter((name) => !isInstalled(name))
  if (left.length > 0) {
    process.stderr.write(
      `Not installed: ${left.join(', ')}. What needs them is skipped and says so. ` +
        `On Debian or Ubuntu: sudo apt-get install ${wanted.join(' ')}\n`,
    )
  }
  return left
}

async function aptInstall(/** @type {string[]} */ wanted) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await runQuietly('apt-get', ['update', '-q'], { env })
  await runQuietly('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...wanted], {
    env,
  })
}
