/** `kairo up`: starts a peer, says where it is, and stops it in order when told to. */
import { setFlagsFromString } from 'node:v8'
import { settingsFixed } from '../config/load.ts'
import { createPeer, type Peer } from '../peer.ts'
import type { Arguments } from './arguments.ts'
import { createLogger } from './logging.ts'
import { print, printJson } from './output.ts'
import { welcome } from './welcome.ts'

/**
 * Media pass through a peer as buffers outside of V8's heap, yet their growth makes V8 collect the heap as if it had grown. With a
 * heap of some 40 MB that is a full collection a second for every 5 MB/s of media, a third of all processor time. Letting
 * the heap grow to three times what is alive between collections costs at most that much memory.
 */
const HEAP_GROWING_PERCENT = 200

/**
 * New space is collected in a quiet moment once it is this full, instead of at 80 %. What was received lies in buffers that do not
 * fill new space and yet are freed by its collection; left for seconds, they count as growth and bring full collections, which
 * cost tens of times more: at 5 MB/s of media one every 4 s, and every 14 s with this.
 */
const NEW_SPACE_PERCENT = 25

/** Runs the command until SIGINT or SIGTERM; 0 after an orderly stop. A second signal ends it at once. */
export async function up(input: Arguments): Promise<number> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`)
  setFlagsFromString(`--minor-gc-task-trigger=${NEW_SPACE_PERCENT}`)
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
