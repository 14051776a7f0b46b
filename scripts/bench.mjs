/** `npm run bench -- <name>`: set-up where it is needed, then the bench; its last line on stdout is one JSON object. */
import { ensurePartners } from './lib/partners.mjs'
import { exitWith } from './lib/run.mjs'
import { runUnderNode, setup } from './setup.mjs'

await exitWith(async () => {
  const node = await setup()
  await ensurePartners(['ffmpeg', 'chromium', 'nginx'])
  return runUnderNode(node, ['bench/run.ts', ...process.argv.slice(2)])
})
