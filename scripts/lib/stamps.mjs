/** Hashes that tell whether a set-up step has anything to do, and the small files that remember them. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * Hash of the names and bytes of files.
 * @param {string} root
 * @param {string[]} files relative to `root`; the order does not matter, a missing one counts as empty
 */
export function hashFiles(root, files) {
  const hash = createHash('sha256')
  for (const file of [...files].sort()) {
    const path = join(root, file)
    hash.update(`${file}\0`)
    if (existsSync(path)) hash.update(readFileSync(path))
    hash.update('\0')
  }
  return hash.digest('hex')
}

/**
 * Files below a folder, relative to `root`.
 * @param {string} root
 * @param {string} folder
 * @param {string[]} skipped names of folders not entered
 * @returns {string[]}
 */
export function filesBelow(root, folder, skipped = ['node_modules', 'dist']) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory())
      return skipped.includes(entry.name) ? [] : filesBelow(root, path, skipped)
    return [path]
  })
}

/**
 * What a stamp file remembers, or undefined when there is none that can be read.
 * @param {string} path
 * @returns {Record<string, unknown> | undefined}
 */
export function readStamp(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    // Missing or cut off by a crash: the step runs again, which is always right.
    return undefined
  }
}

/**
 * @param {string} path
 * @param {Record<string, unknown>} stamp
 */
export function writeStamp(path, stamp) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${JSON.stringify(stamp)}\n`)
}

/**
 * Size and time of a file as one word, or undefined when it is not there.
 * @param {string} path
 */
export function fileMark(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.size}:${stat.mtimeMs}`
}
