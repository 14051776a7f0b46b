/** Programs that are built from their Go module where Go is installed. */
import { existsSync } from 'node:fs'
import { chmod, cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { runProgram } from './child-program.ts'

/** What is built. */
export interface GoBuild {
  /** Path of the module, and a version of it. */
  readonly module: string
  readonly version: string
  /** Of the program in it. */
  readonly package: string
  /** The file that is made. */
  readonly output: string
  /** Changes the sources before they are built. */
  readonly prepare: (folder: string, go: string) => Promise<void>
}

/** Go itself, or undefined. */
export function findGo(): string | undefined {
  return onPath('go', ['/usr/local/go/bin'])
}

/** A program on the search path, or in one of some more folders. */
export function onPath(name: string, more: readonly string[] = []): string | undefined {
  return [...(process.env.PATH ?? '').split(delimiter), ...more]
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))
}

/** Builds a program from a copy of its module. @throws Error with Go's output */
export async function buildGoProgram(go: string, build: GoBuild): Promise<void> {
  const wanted = `${build.module}@${build.version}`
  const listing = await runProgram(go, ['mod', 'download', '-json', wanted])
  const source = /"Dir": "([^"]+)"/.exec(listing)?.[1]
  if (source === undefined) throw new Error(`no module in: ${listing}`)
  const folder = await mkdtemp(join(tmpdir(), 'kairo-go-build-'))
  try {
    await cp(source, folder, { recursive: true })
    await makeWritable(folder)
    await build.prepare(folder, go)
    await runProgram(go, ['build', '-o', build.output, build.package], { cwd: folder })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Files of Go's module cache are read-only, and so are their copies. */
async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await makeWritable(path)
    else await chmod(path, 0o644)
  }
}
