/**
 * The region in words, for the command line and the admin page alike: an operator who reads one and types the other finds the same ones.
 * Needs nothing of Node, for it runs in the page, too.
 */
import type { output } from 'zod'
import type { ownersSchema, regionSchema } from './schemas-region.ts'

type Region = output<typeof regionSchema>
type Member = Region['members'][number]
type Group = Region['groups'][number]
type Conflict = Region['conflicts'][number]
type Owners = output<typeof ownersSchema>

/** Something that an operator should know. */
export interface RegionNotice {
  readonly status: 'warn' | 'fail'
  readonly text: string
  /** What it means, or what to do; empty where there is nothing to be done. */
  readonly hint: string
}

/** How the region stands, in a word and as bad as it is. */
export function regionState(region: Region): {
  readonly word: string
  readonly status: 'ok' | 'warn' | 'fail'
} {
  const { engine, state, phase, hasQuorum, isDegraded } = region
  if (state === 'failed') return { word: 'failed', status: 'fail' }
  if (state !== 'running') return { word: state, status: 'warn' }
  if (engine === 'etcd') return { word: 'etcd decides', status: 'ok' }
  if (phase !== 'member') return { word: `in no region (${phase})`, status: 'warn' }
  if (isDegraded) return { word: 'no quorum for long', status: 'fail' }
  if (!hasQuorum) return { word: 'no quorum', status: 'warn' }
  return { word: 'decides things', status: 'ok' }
}

/** What there is to know at a glance, as names and values. */
export function regionFacts(region: Region): (readonly [name: string, value: string])[] {
  const { name, engine, state, phase, regionId, memberId, founded } = region
  const { members, contacts } = region
  const isTracker = engine === 'tracker'
  return [
    ['region', name],
    ['state', regionState(region).word],
    ['engine', `${engine}, ${state}`],
    ...pair('this peer', isTracker && phase !== null ? whereWords(phase, memberId) : null),
    ...pair('region id', regionId),
    ...pair('founded', founded),
    // Whoever is to start them again must know which they are.
    ...pair(
      'other members',
      members.length === 0 && contacts.length > 0 ? contacts.join(' ') : null,
    ),
  ]
}

function pair(name: string, value: string | null): (readonly [string, string])[] {
  return value === null ? [] : [[name, value]]
}

function whereWords(phase: string, memberId: number | null): string {
  return phase === 'member' && memberId !== null ? `member ${memberId}` : phase
}

const phaseWords: Readonly<Record<string, string>> = {
  idle: 'This peer is in no region, and joins one at its next start.',
  looking: 'This peer looks for its region.',
  entering: 'This peer enters a region.',
  dropping: 'This peer was struck off, gives up what it holds of the region, and joins it anew.',
}

/** What is not as it should be, the worst first. */
export function regionNotices(region: Region): RegionNotice[] {
  const { engine, state, error, phase } = region
  if (state === 'failed' || engine === 'etcd') return engineNotices(region)
  if (state !== 'running') return [warn(`The tracker is ${state}.`)]
  if (phase !== 'member') return [awayNotice(region)]
  return [
    ...quorumNotices(region),
    ...(error === null
      ? []
      : [
          warn(
            `The members could not be asked: ${error}.`,
            'What is told here is what this peer knows by itself.',
          ),
        ]),
  ]
}

function engineNotices({ engine, state, error }: Region): RegionNotice[] {
  const reason = error ?? 'no reason is known'
  if (engine === 'tracker') {
    return [
      {
        status: 'fail',
        text: `The tracker of this peer works no longer: ${reason}.`,
        hint: 'The peer goes on without it. `kairo doctor` says what to do.',
      },
    ]
  }
  if (state === 'running' && error === null) return []
  if (error === null) return [warn(`The etcd client is ${state}.`)]
  return [
    {
      status: 'fail',
      text: `etcd does not answer: ${reason}.`,
      hint: 'Check coordinationUrl, and that the etcd runs and lets this machine in.',
    },
  ]
}

function awayNotice({ phase, waitsFor }: Region): RegionNotice {
  if (waitsFor === null) return warn(phaseWords[phase ?? ''] ?? 'This peer is in no region.')
  return warn(
    `This peer waits for the region ${waitsFor}, too few of whose members are there to let it in.`,
    'Start its other members again. If they will not come back: `kairo region forget` at one that is left.',
  )
}

/** What the others go on with is what an operator asks first. */
function quorumNotices({ hasQuorum, isDegraded, regionId, groups }: Region) {
  if (isDegraded) {
    return [
      {
        status: 'fail' as const,
        text: 'Too few members are there for the region to decide anything. Streams go on: who has what is told by gossip and the DHT. Publishers are taken unconfirmed, so two peers may publish one stream until the region decides again.',
        hint: `Start the other members again, or make the network between them work. Only if they will not come back: \`kairo region forget ${regionId} --lose-data\` here.`,
      },
    ]
  }
  if (!hasQuorum) {
    return [warn('The region has no quorum just now: it elects a leader, or members are away.')]
  }
  const silent = groups.filter((group) => !group.hasQuorum).length
  if (silent === 0) return []
  return [
    warn(
      `${silent} of ${groups.length} groups have no quorum.`,
      'Nobody decides who owns the streams that lie in them until they elect a leader.',
    ),
  ]
}

function warn(text: string, hint = ''): RegionNotice {
  return { status: 'warn', text, hint }
}

/** Whether a member is there. Without a quorum the region does not learn who has gone, and what this peer sees itself counts. */
export function memberState(
  { isAlive, isLeaving, isReachable, isSelf, isConnected }: Member,
  { hasQuorum }: Pick<Region, 'hasQuorum'>,
): { readonly word: string; readonly status: 'ok' | 'warn' | 'fail' } {
  if (!hasQuorum && !isSelf) {
    return isConnected
      ? { word: 'connected', status: 'ok' }
      : { word: 'not connected', status: 'fail' }
  }
  if (!isAlive) return { word: 'away', status: 'fail' }
  if (isLeaving) return { word: 'leaving', status: 'warn' }
  return { word: isReachable ? 'there' : 'there, not reachable', status: 'ok' }
}

/** How busy a member is; empty for one that is away. */
export function memberLoad({ isAlive, load }: Member): string {
  return isAlive ? `${Math.round(load * 100)} %` : ''
}

/** `0 (region)`, `7`. */
export function groupName({ group }: Group): string {
  return group === 0 ? '0 (region)' : String(group)
}

/** The member that leads. */
export function groupLeader({ leader }: Group): string {
  return leader === null ? 'none' : String(leader)
}

/** What is remarkable about a group; empty for most. One without a quorum has no leader. */
export function groupState({ isChanging }: Group): string {
  return isChanging ? 'changing' : ''
}

/** Entries that members lack of what is committed: `0`, or `2: 15, 3: silent`. */
export function groupLag({ hasQuorum, lag }: Group): string {
  // Only a leader knows.
  if (!hasQuorum) return 'not known'
  const behind = lag.filter(({ entries, isActive }) => entries > 0 || !isActive)
  if (behind.length === 0) return '0'
  return behind
    .map(({ memberId, entries, isActive }) => `${memberId}: ${isActive ? entries : 'silent'}`)
    .join(', ')
}

/** What is to be done about another region of the name. */
export function conflictAdvice({ isOursToGiveWay, isRefused }: Conflict): string {
  if (isRefused) {
    return 'It does not let this peer in: look at regionPeers there, or give one of the two another name.'
  }
  return isOursToGiveWay
    ? 'Ours is to give way: move its members there, one after another.'
    : 'That one is to give way: its operator moves its members here, one after another.'
}

/** Whose a stream is: `this peer`, a peer id, or why that is not known. */
export function ownerWords({ state, owner, isSelf, problem }: Owners['streams'][number]): string {
  if (state === 'free') return 'nobody in this region'
  if (state === 'unknown') return `not known: ${problem ?? 'the region does not say'}`
  if (isSelf) return 'this peer'
  return owner ?? 'a peer of another version'
}

/** `term 3, entry 120`; empty where nobody owns it. */
export function tokenWords({ token }: Owners['streams'][number]): string {
  return token === null ? '' : `term ${token.term}, entry ${token.index}`
}

/** What is left of a lease in seconds; only its holder and the leader know. */
export function leaseLeft({ state, leftMs }: Owners['streams'][number], leaseMs: number): string {
  if (state !== 'owned') return ''
  if (leftMs === null) return `renewed within ${(leaseMs / 1_000).toFixed(0)} s`
  return `${(Math.max(0, leftMs) / 1_000).toFixed(1)} s left`
}
