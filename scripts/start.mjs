/** `npm start`: set-up where it is needed, then one peer with the built-in test stream. Arguments go to `kairo up`. */
import { exitWith } from './lib/run.mjs'
import { runUnderNode, setup } from './setup.mjs'

await exitWith(async () => {
  const node = await setup()
  return runUnderNode(node, ['node/src/cli.ts', 'up', ...process.argv.slice(2)])
})
