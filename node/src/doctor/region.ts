/** What `kairo doctor` can say of the region: whether it decides things, whether there is a second one, whether its disk holds. */
import type { CoordinationStatus } from '../coordination/coordination-service.ts'
import { isKairoError, type KairoError } from '../errors.ts'
import type { Check } from './check.ts'

/** What is looked at. */
export interface RegionCheckView {
  readonly status: CoordinationStatus
  /** Why a question to the engine failed just now; undefined when it was answered. */
  readonly failure: KairoError | undefined
  /** The tracker's folder. */
  readonly folder: string
}

const NAME = 'region'

/** Whether this peer's region works. */
export function checkRegion({ status, failure, folder }: RegionCheckView): Check[] {
  const { engine, state, error } = status
  if (engine === 'etcd') return [checkEtcd(status, failure)]
  if (state === 'failed') return [failed(error, folder)]
  if (state !== 'running') {
    return [{ name: NAME, status: 'warn', detail: `the tracker is ${state}` }]
  }
  return [checkQuorum(status, failure), ...checkConflicts(status), ...checkThread(status)]
}

function checkThread({ region, ended }: CoordinationStatus): Check[] {
  if (ended === undefined) return []
  const { count, reason } = ended
  const times = count === 1 ? 'once' : `${count} times`
  const detail = `${region}: the tracker's thread ended by itself ${times} and was begun anew, last for: ${reason.message}`
  const hint =
    'Look for memory that runs out. Otherwise it is a fault of this program: report it with the log.'
  return [{ name: NAME, status: 'warn', detail, hint }]
}

function failed(error: KairoError | undefined, folder: string): Check {
  const hint = isKairoError(error, 'ERR_STORAGE')
    ? `Make room on the disk of ${folder}, or replace it, and start the peer again.`
    : `Start the peer again. If it stays so, stop the peer, move ${folder} away, and let it join as a new member; the other members keep what they hold.`
  const detail = `the tracker works no longer: ${error?.message ?? 'no reason is known'}`
  return { name: NAME, status: 'fail', detail, hint }
}

function checkEtcd({ region, error }: CoordinationStatus, failure: KairoError | undefined): Check {
  const cause = error ?? failure
  if (cause === undefined) {
    return { name: NAME, status: 'ok', detail: `${region}: etcd answers` }
  }
  return {
    name: NAME,
    status: 'fail',
    detail: `${region}: etcd does not answer: ${cause.message}`,
    hint: 'Check coordinationUrl, and that the etcd runs and lets this machine in.',
  }
}

function checkQuorum(
  { region, agent }: CoordinationStatus,
  failure: KairoError | undefined,
): Check {
  if (agent === undefined || agent.phase !== 'member') {
    const waits = agent?.waitsFor
    if (waits === undefined) {
      return { name: NAME, status: 'warn', detail: `${region}: in no region (${agent?.phase})` }
    }
    return {
      name: NAME,
      status: 'warn',
      detail: `${region}: waits for the region ${waits}, too few of whose members are there`,
      hint: 'Start its other members again. If they will not come back: `kairo region forget` at one that is left.',
    }
  }
  const regionId = agent.facts?.regionId ?? '<region id>'
  const members = `${agent.memberCount} member${agent.memberCount === 1 ? '' : 's'}`
  if (agent.hasQuorum && failure === undefined) {
    return { name: NAME, status: 'ok', detail: `${region}: ${members}, decides things` }
  }
  if (agent.hasQuorum) {
    const detail = `${region}: ${members}, but a question was not answered: ${failure?.message}`
    return { name: NAME, status: 'warn', detail }
  }
  return {
    name: NAME,
    status: agent.isDegraded ? 'fail' : 'warn',
    detail: `${region}: of ${members} too few are there to decide anything`,
    hint: `Start the other members again, or make the network between them work. Only if they will not come back: \`kairo region forget ${regionId} --lose-data\` here.`,
  }
}

function checkConflicts({ region, agent }: CoordinationStatus): Check[] {
  return (agent?.conflicts ?? []).map(({ regionId, memberCount, isRefused }) => ({
    name: NAME,
    status: 'warn' as const,
    detail: `${region}: there is a second region of this name, ${regionId}, with ${memberCount} members`,
    hint: isRefused
      ? 'It does not let this peer in: look at regionPeers there, or give one of the two another name.'
      : `Move the members of one to the other, one after the other: \`kairo region merge ${regionId}\` here.`,
  }))
}
