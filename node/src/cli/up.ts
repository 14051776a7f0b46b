/** `kairo up`: starts a peer, says where it is, and stops it in order when told to. */
import { settingsFixed } from '../config/load.ts'
import { createPeer, type Peer } from '../peer.ts'
import type { Arguments } from './arguments.ts'
import { createLogger } from './logging.ts'
import { print, printJson } from './output.ts'
import { welcome } from './welcome.ts'

/** Runs the command until SIGINT or SIGTERM; 0 after an orderly stop. A second signal ends it at once. */
export async function up(input: Arguments): Promise<number> {
  const loaded = input.load()
  const logger = createLogger(loaded.settings.logLevel)
  const peer = createPeer({ ...loaded, fixed: settingsFixed(loaded), logger })
  const stopped = stopOnSignal(peer, input.json)
  await peer.start()
  if (input.json) {
    printJson({ event: 'ready', ...peer.addresses() })
    peer.events.on('stream', (notice) => printJson({ event: 'stream', ...notice }))
  } else {
    print(welcome(peer.addresses()))
  }
  await stopped
  if (input.json) printJson({ event: 'stopped' })
  return 0
}

function stopOnSignal(peer: Peer, json: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopping = false
    const stop = (signal: string): void => {
      if (stopping) {
        // npm and the terminal may both deliver the first Ctrl-C; only a later one means impatience.
        if (performance.now() - since > 500) process.exit(1)
        return
      }
      stopping = true
      since = performance.now()
      if (json) printJson({ event: 'stopping', signal })
      else print('\nStopping. Press Ctrl-C again to stop at once.')
      peer.stop().then(resolve, reject)
    }
    let since = 0
    process.on('SIGINT', () => stop('SIGINT'))
    process.on('SIGTERM', () => stop('SIGTERM'))
    // A closed terminal is an order to stop; without one the signal keeps its meaning (nohup ignores it).
    if (process.stdout.isTTY) process.on('SIGHUP', () => stop('SIGHUP'))
  })
}
