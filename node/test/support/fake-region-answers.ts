/** What an imagined peer answers of its region: three members of which one is away, a shard without a quorum, and a second region of the name. */

const peers = ['12D3KooWQe7hFDx8vCqYqQnvTQ9n1Zc4yQpXnR5mK2sW8aLtJ4uE'].concat(
  ['A', 'B'].map((mark) => `12D3KooW${mark}1b2C3d4E5f6G7h8J9kLmNoPqRsTuVwXyZ123456789a`),
)

function member(memberId: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    ...{ memberId, peerId: peers[memberId - 1], isSelf: memberId === 1, isAlive: true },
    ...{
      isLeaving: false,
      isReachable: true,
      isConnected: true,
      since: '2026-01-02T03:04:05.000Z',
      incarnation: 2,
    },
    ...{ load: 0.25, roles: ['ingest', 'relay'], leads: 8, votes: 17, ...more },
  }
}

function group(index: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  const lag = [1, 2, 3].map((memberId) => ({ memberId, entries: 0, isActive: memberId !== 3 }))
  return {
    ...{ group: index, leader: 1 + (index % 2), term: 3, commit: 1_200 + index, lag },
    ...{ voters: [1, 2, 3], learners: [], isChanging: false, hasQuorum: true, ...more },
  }
}

/** The region, and who owns its streams. */
export function regionAnswers() {
  return {
    region: {
      ...{ name: 'default', engine: 'tracker', state: 'running', error: null, phase: 'member' },
      ...{ regionId: '4f1c'.repeat(8), memberId: 1, founded: '2026-01-02T03:04:05.000Z' },
      contacts: peers.slice(1),
      ...{ memberCount: 3, hasQuorum: true, isDegraded: false, waitsFor: null },
      members: [member(1), member(2), member(3, { isAlive: false, since: null, leads: 0 })],
      groups: Array.from({ length: 17 }, (_, index) =>
        group(index, index === 5 ? { leader: null, hasQuorum: false, lag: [] } : {}),
      ),
      conflicts: [
        {
          ...{ regionId: 'beef'.repeat(8), memberCount: 2, founded: '2026-01-03T03:04:05.000Z' },
          ...{ speakers: [peers[2]], isOursToGiveWay: false, isRefused: false },
        },
      ],
    } as Record<string, unknown>,
    streamOwners: {
      ...{ total: 2, leaseMs: 3_000 },
      streams: [
        owner('garage', { owner: peers[1], leftMs: null }),
        owner('test', { isSelf: true }),
      ],
    },
  }
}

function owner(name: string, more: Record<string, unknown>): Record<string, unknown> {
  return {
    ...{ name, id: `k51qzi5uqu5d-${name}`, state: 'owned', owner: peers[0], isSelf: false },
    ...{ since: '2026-01-02T03:04:05.000Z', token: { term: 3, index: 120 }, leftMs: 2_400 },
    ...{ problem: null, ...more },
  }
}
