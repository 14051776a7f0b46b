/** What `kairo doctor` says of a running peer: its machine, its servers, its store, its clock, its reachability. */
import type { Settings } from '../config/schema.ts'
import type { CoordinationService } from '../coordination/coordination-service.ts'
import type { Check } from '../doctor/check.ts'
import { checkDisk, checkEncoders, checkHome, checkNode } from '../doctor/machine.ts'
import { checkNearest } from '../doctor/nearest.ts'
import {
  checkClock,
  checkJoin,
  checkReach,
  checkReachability,
  checkStore,
} from '../doctor/network.ts'
import { checkRegion } from '../doctor/region.ts'
import type { KairoError } from '../errors.ts'
import { homeAt } from '../home.ts'
import type { RunningRooms } from '../peer.ts'
import type { PeerAddresses } from './addresses.ts'

/** Runs every check on a running peer. */
export async function peerDoctor(
  { components, testStream }: RunningRooms,
  addresses: PeerAddresses,
  settings: Settings,
): Promise<Check[]> {
  const { clock, host, join, store, directory, encoders, nearest, catalog, geo } = components
  return [
    checkNode(),
    checkHome(settings.home),
    checkDisk(settings.home, settings),
    checkStore(store.health()),
    {
      name: 'ports',
      status: 'ok',
      detail: `HTTP on ${addresses.http}, RTMP ${addresses.rtmp ?? 'off'}, SRT ${addresses.srt ?? 'off'}`,
    },
    checkClock(clock.now(), host.peerId, directory.list()),
    ...checkJoin(join.status()),
    checkReachability({
      connections: host.connections(),
      multiaddrs: host.multiaddrs(),
      observed: host.observedAddresses(),
    }),
    ...checkReach(host.reach(), host.observedAddresses(), host.multiaddrs()),
    ...checkNearest({
      nowMs: clock.now(),
      ranked: nearest.rank({ address: '127.0.0.1' }),
      known: catalog.list(),
      geo: geo.status(),
      isDnsOn: settings.dns !== 'off',
      named: new Set(components.believedPeers().map(({ peerId }) => peerId)),
    }),
    ...(await checkOwnRegion(components.coordination, settings)),
    checkEncoders(encoders.found),
    ...(testStream === undefined ? [] : [checkTestStream(testStream.status)]),
  ]
}

async function checkOwnRegion(
  coordination: CoordinationService,
  { home }: Settings,
): Promise<Check[]> {
  const failure = await coordination.probe().then(
    () => undefined,
    (error: KairoError) => error,
  )
  return checkRegion({
    ...{ status: coordination.status, failure },
    folder: homeAt(home).trackerDirectory,
  })
}

function checkTestStream(status: { readonly state: string; readonly error: string | null }): Check {
  if (status.state === 'running' || status.state === 'starting') {
    return { name: 'test stream', status: 'ok', detail: status.state }
  }
  return { name: 'test stream', status: 'warn', detail: `${status.state}: ${status.error ?? ''}` }
}
