// Builds the client library into client-lib/dist: two modules, a script, their source maps, and the types. Says what each weighs.
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { buildBundle, bundles } from '../client-lib/vite.config.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'client-lib/dist')
const budget = JSON.parse(readFileSync(join(root, 'client-lib/size-budget.json'), 'utf8'))

rmSync(dist, { recursive: true, force: true })
for (const bundle of bundles) {
  const gzipBytes = gzipSync(await buildBundle(bundle, true), { level: 9 }).byteLength
  const { gzipBytesMax } = budget[bundle.file]
  console.log(`${bundle.file}: ${gzipBytes} bytes gzip of ${gzipBytesMax}`)
  if (gzipBytes > gzipBytesMax) process.exitCode = 1
}

const types = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['-p', join(root, 'client-lib'), '--noEmit', 'false', '--emitDeclarationOnly'],
    ...[
      '--declaration',
      '--rewriteRelativeImportExtensions',
      '--rootDir',
      join(root, 'client-lib/src'),
    ],
    ...['--outDir', join(dist, 'types')],
  ],
  { stdio: 'inherit' },
)
if (types.status !== 0) process.exitCode = 1
