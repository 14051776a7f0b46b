/** `npm run bench -- <name>`: set-up where it is needed, then the bench; its last line on stdout is one JSON object. */
import { ensurePartners } from './lib/partners.mjs'
import { exitWith } from './lib/run.mjs'
import { runUnderNode, setup } from './setup.mjs'

/**
 * What single benches need; others may need all of what makes and shows media.
 * @type {Record<string, import('./lib/partners.mjs').Partner[]>}
 */
const partners = {
  edge: ['nginx', 'varnishd', 'wrk'],
  serve: ['nginx', 'wrk'],
  purge: [],
  'mesh-fetch': [],
  raft: ['etcd'],
  tracker: [],
}

await exitWith(async () => {
  const node = await setup()
  await ensurePartners(partners[process.argv[2] ?? ''] ?? ['ffmpeg', 'chromium'])
  return runUnderNode(node, ['bench/run.ts', ...process.argv.slice(2)])
})
