/** What `kairo doctor` can say of a running peer's place in the network: store, clock, joining, reachability. */

import type { StoreHealth } from '../content/store/store.ts'
import type { StreamRecord } from '../content/stream.ts'
import type { JoinStatus } from '../host/join.ts'
import type { ReachStatus } from '../host/reach/reach-status.ts'
import { recordLimits } from '../limits.ts'
import type { Check } from './check.ts'

/** Difference of clocks that does no harm: players tolerate it, records do not care. */
const CLOCK_TOLERANCE_MS = 2_000

/** Whether the cache does all it should. */
export function checkStore(health: StoreHealth): Check {
  if (health.status === 'ok')
    return { name: 'cache', status: 'ok', detail: 'objects are kept in RAM and on disk' }
  return {
    name: 'cache',
    status: 'warn',
    detail: health.reason,
    hint: 'Free disk space or repair the disk; writing resumes by itself.',
  }
}

/**
 * This machine's clock against those of other publishers: a live record was signed at its sequence and is signed
 * again every few seconds, so a clock that is right sees it a few seconds old.
 */
export function checkClock(
  nowMs: number,
  ownPeer: string,
  records: readonly StreamRecord[],
): Check {
  const ages = records
    .filter(({ originPeer, state }) => originPeer !== ownPeer && state === 'live')
    .map(({ sequence }) => nowMs - sequence)
    .sort((a, b) => a - b)
  const median = ages[ages.length >> 1]
  if (median === undefined) {
    return { name: 'clock', status: 'ok', detail: 'no other publisher to compare this clock with' }
  }
  const behindMs = -median
  const aheadMs = median - recordLimits.recordTtlMs
  const offMs = Math.max(behindMs, aheadMs)
  if (offMs <= CLOCK_TOLERANCE_MS) {
    return {
      name: 'clock',
      status: 'ok',
      detail: `agrees with ${ages.length} other ${ages.length === 1 ? 'publisher' : 'publishers'}`,
    }
  }
  return {
    name: 'clock',
    status: 'warn',
    detail: `this clock is ${Math.round(offMs / 1000)} s ${behindMs > aheadMs ? 'behind' : 'ahead of'} those of other publishers`,
    hint: 'Let the system set its clock by NTP (timedatectl set-ntp true); program times of streams depend on it.',
  }
}

/** Whether the peers that the operator named were reached. */
export function checkJoin(targets: readonly JoinStatus[]): Check[] {
  return targets.map(({ target, state, lastError }) => {
    const name = 'join'
    if (state === 'connected') return { name, status: 'ok', detail: `${target} is connected` }
    if (state === 'self') {
      return {
        name,
        status: 'warn',
        detail: `${target} is this very peer`,
        hint: 'Name another peer with --join.',
      }
    }
    return {
      name,
      status: 'fail',
      detail: `${target} is not reached${lastError === undefined ? '' : `: ${lastError.message}`}`,
      hint: 'Check that it runs, that the address is right, and that a firewall lets it through. Trying goes on.',
    }
  })
}

/** What other peers see of this one. */
export function checkReachability(view: {
  readonly connections: readonly { readonly direction: 'inbound' | 'outbound' }[]
  readonly multiaddrs: readonly string[]
  readonly observed: readonly string[]
}): Check {
  const name = 'reachability'
  const inbound = view.connections.filter(({ direction }) => direction === 'inbound').length
  const listens = `listening on ${view.multiaddrs.length} addresses`
  if (view.connections.length === 0) {
    return {
      name,
      status: 'warn',
      detail: `${listens}, connected to nobody`,
      hint: 'That is fine for a first peer. Otherwise join one with --join, or run both on one local network.',
    }
  }
  // Ports are those of outgoing connections, which say nothing; the hosts are how others see this machine.
  const hosts = new Set(view.observed.map((address) => address.split('/')[2] ?? address))
  const seen = hosts.size === 0 ? '' : `; others see this machine as ${[...hosts].join(', ')}`
  const detail = `${listens}, ${view.connections.length} ${view.connections.length === 1 ? 'connection' : 'connections'}, ${inbound} from outside${seen}`
  if (inbound > 0) return { name, status: 'ok', detail }
  return {
    name,
    status: 'warn',
    detail,
    hint: 'Nobody has connected to this peer yet. If it stays so, open its port in the firewall or router and name the outer address with --announce.',
  }
}

/** Relayed connections that stayed so, after which something is in their way. */
const HOLE_PUNCHES_DOUBTED = 3

/** Whether others can dial this peer, how it is reached where they cannot, and what it does for others. */
export function checkReach(
  status: ReachStatus,
  observed: readonly string[],
  listening: readonly string[],
): Check[] {
  const checks = [checkNat(status, observed, listening)]
  const { relaying, connections, holePunches } = status
  if (relaying !== undefined) {
    checks.push({
      name: 'relaying',
      status: 'ok',
      detail: `${relaying.reservations} peers that nobody can dial are reached through this one, ${relaying.connections} connections at the moment`,
    })
  }
  if (holePunches.tried > 0) {
    const { tried, succeeded } = holePunches
    const isBlocked = tried >= HOLE_PUNCHES_DOUBTED && succeeded === 0
    checks.push({
      name: 'direct connections',
      status: isBlocked ? 'warn' : 'ok',
      detail: `${succeeded} of ${tried} relayed connections became direct; now ${connections.direct} direct, ${connections.relayed} relayed`,
      ...(isBlocked
        ? {
            hint: 'Media never pass a relay. Forward the libp2p port at one of the two sides.',
          }
        : {}),
    })
  }
  return checks
}

function checkNat(
  { nat, publicAddresses, relays }: ReachStatus,
  observed: readonly string[],
  listening: readonly string[],
): Check {
  const name = 'nat'
  const verified = publicAddresses.filter((address) => address.verified)
  const hint = forwardHint(observed, listening)
  if (nat === 'public') {
    const where = verified.map(({ multiaddr }) => multiaddr).join(', ')
    const detail = where === '' ? 'by the addresses announced' : `at ${where}`
    return { name, status: 'ok', detail: `others can dial this peer ${detail}` }
  }
  if (nat === 'local') {
    return { name, status: 'ok', detail: 'only private addresses here and at the other ends' }
  }
  if (nat === 'unknown') {
    const waiting = publicAddresses.map(({ multiaddr }) => multiaddr).join(', ')
    const detail = waiting === '' ? 'not yet known' : `${waiting} waits for another peer to dial it`
    return { name, status: 'warn', detail, hint: 'Look again in a minute.' }
  }
  if (relays.length === 0) {
    return {
      name,
      status: 'warn',
      detail: 'nobody can dial this peer, and no neighbour relays for it',
      hint: `${hint} Or let a peer with a public address relay (--relay).`,
    }
  }
  return {
    name,
    status: 'warn',
    detail: `nobody can dial this peer; it is reached through ${relays.length} ${relays.length === 1 ? 'relay' : 'relays'} and then dials back`,
    hint,
  }
}

function forwardHint(observed: readonly string[], listening: readonly string[]): string {
  const host = observed.map((address) => /^\/ip[46]\/[^/]+/.exec(address)?.[0]).findLast(Boolean)
  const port = listening.map((address) => /\/tcp\/(\d+)/.exec(address)?.[1]).find(Boolean)
  const announce = `${host ?? '/ip4/<outer address>'}/tcp/${port ?? '<port>'}`
  return `Forward the libp2p port in the router, open it in the firewall, and name the outer address with --announce ${announce}.`
}
