/**
 * The tracker's thread: a whole member on this machine's disk and clock, and its end of the port to the program. Its entry is
 * thread-entry.ts.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../clock.ts'
import type { Transaction } from '../coordination.ts'
import type { TrackerError } from '../errors.ts'
import { DirectTransport } from '../lines/direct-transport.ts'
import { TrackerMember } from '../member/tracker-member.ts'
import type { RaftLogger } from '../raft/types.ts'
import type { StreamQuestion } from '../soft/swarms.ts'
import type {
  LineAddress,
  LineInvitation,
  TrackerTransport,
  TransportHandlers,
} from '../transport.ts'
import { openDiskFolder } from '../wal/disk-folder.ts'
import { KnownLinks } from './known-links.ts'
import { PortCalls, type PortMethod } from './port-calls.ts'
import { PortLine } from './port-line.ts'
import { type LogLevel, type PortMessage, type ThreadData, toPortError } from './port-messages.ts'

const RANDOM_STEPS = 2 ** 47

const port = parentPort
if (port === null) throw new Error('this file is the entry of a worker thread')
const data: ThreadData = workerData
let { facts } = data
let handlers: TransportHandlers | undefined

const { send: post, sendFrame } = new PortLine((messages, transfer) =>
  port.postMessage(messages, transfer),
)
/** Peers that are connected, and may join. */
const welcome = new Set<string>()
const links = new KnownLinks({ clock: systemClock })
/** Over the program's lines. */
const base: TrackerTransport = {
  peerId: data.peerId,
  // Whether the line has room is known in the other thread; what it drops is lost like anything on its way.
  send: (peerId, lane, frame) => {
    if (!links.takes(peerId, lane)) return false
    sendFrame(peerId, lane, frame)
    return true
  },
  start: (given) => {
    handlers = given
  },
}
const log =
  (level: LogLevel): ((message: string) => void) =>
  (message) =>
    post({ type: 'log', level, message })
const logger: RaftLogger = { info: log('info'), warn: log('warn'), error: log('error') }

const random = (): number => randomInt(RANDOM_STEPS) / RANDOM_STEPS
let invite: (peerId: string) => Promise<LineInvitation | undefined> = async () => undefined
const direct = data.direct === undefined ? undefined : openDirect(data.direct)
const member = await openMember()
const methods = methodsOf(member)
const calls = new PortCalls({ post, methods })
// Only now: what came before waits in the port.
port.on('message', (messages: readonly PortMessage[]) => {
  for (const message of messages) onMessage(message)
})

function onMessage(message: PortMessage): void {
  switch (message.type) {
    case 'frame':
      handlers?.onFrame(message.peerId, message.lane, message.bytes)
      break
    case 'link':
      links.changed(message.peerId, message.isUp)
      if (message.mayJoin) welcome.add(message.peerId)
      else welcome.delete(message.peerId)
      handlers?.onLink(message.peerId, message.isUp)
      break
    case 'swarms':
      member.swarms.tell(message.news)
      break
    case 'facts':
      facts = message.facts
      member.region.touch()
      break
    default:
      calls.onMessage(message)
  }
}

function openDirect({ listen }: Exclude<ThreadData['direct'], undefined>): DirectTransport {
  return new DirectTransport({
    ...{ base, clock: systemClock, logger, random, randomBytes },
    mayInvite: (peerId) => welcome.has(peerId),
    introducer: {
      listen,
      ask: async (peerId) => (await calls.call('introduce', [peerId])) as LineAddress | undefined,
      answer: (given) => {
        invite = given
      },
    },
  })
}

async function openMember(): Promise<TrackerMember> {
  const [folder, logFolder, snapshotFolder] = await Promise.all(
    ['.', 'log', 'snapshots'].map((name) => openDiskFolder(join(data.folder, name))),
  )
  if (!folder || !logFolder || !snapshotFolder) throw new Error('a folder is missing')
  return new TrackerMember(
    {
      ...{ clock: systemClock, folder, logFolder, snapshotFolder, random, randomBytes, logger },
      transport: direct ?? base,
      defer: (callback) => void setImmediate(callback),
      mayJoin: (peerId) => welcome.has(peerId),
      peerFacts: () => facts,
      onStatus: (status) => post({ type: 'status', status }),
      onFailure: (error: TrackerError) => post({ type: 'failure', error: toPortError(error) }),
    },
    { region: data.region, expectsPeers: data.expectsPeers },
  )
}

/** What the program may call: {@link Tracker} and the calls of a keyspace, by name. */
function methodsOf({ coordination, region, swarms }: TrackerMember): Record<string, PortMethod> {
  const keyspace = (args: readonly unknown[]) => coordination.keyspace(args[0] as string)
  type Options = { readonly timeoutMs?: number; readonly limit?: number; readonly after?: string }
  return {
    start: () => member.start(),
    stop: async () => {
      await member.stop()
      direct?.stop()
    },
    view: () => member.view(),
    figures: () => ({ ...member.figures(), ...direct?.figures }),
    invite: ([peerId]) => invite(peerId as string),
    leave: () => region.leave(),
    forget: () => region.forget(),
    merge: ([regionId]) => region.merge(regionId as string),
    ask: ([questions, options], signal) =>
      swarms.ask(questions as StreamQuestion[], { ...(options as Options), signal }),
    totals: ([options], signal) => swarms.totals({ ...(options as Options), signal }),
    get: (args, signal) =>
      keyspace(args).get(args[1] as string, { ...(args[2] as Options), signal }),
    list: (args, signal) =>
      keyspace(args).list(args[1] as string, { ...(args[2] as Options), signal }),
    transact: (args, signal) =>
      keyspace(args).transact(args[1] as Transaction, { ...(args[2] as Options), signal }),
    grantLease: (args, signal) =>
      keyspace(args).grantLease(args[1] as number, { ...(args[2] as Options), signal }),
    renewLease: (args, signal) =>
      keyspace(args).renewLease(args[1] as string, { ...(args[2] as Options), signal }),
    revokeLease: (args, signal) =>
      keyspace(args).revokeLease(args[1] as string, { ...(args[2] as Options), signal }),
    watch: (args, signal) =>
      keyspace(args).watch(args[1] as string, { ...(args[2] as { after?: number }), signal }),
  }
}
