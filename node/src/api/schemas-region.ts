/** The shapes of the API about the region that this peer is in. */
import { z } from 'zod'
import { streamOwnerLimits } from '../limits/stream-leases.ts'
import { pageFields } from './page-query.ts'

const member = z.object({
  memberId: z.number().int(),
  peerId: z.string(),
  isSelf: z.boolean(),
  isAlive: z
    .boolean()
    .describe('As the region knew last; without a quorum it learns of nothing any more.'),
  isLeaving: z.boolean(),
  isReachable: z.boolean(),
  isConnected: z.boolean().describe('This peer has a connection to it.'),
  since: z.iso
    .datetime()
    .nullable()
    .describe('Since when it has been there without a lapse; null while it is not.'),
  incarnation: z.number().int().describe('How often it started.'),
  load: z.number().describe('0 to 1, as it told last.'),
  roles: z.array(z.string()),
  leads: z.number().int().describe('Groups that it leads.'),
  votes: z.number().int().describe('Groups that it votes in.'),
})

const group = z.object({
  group: z.number().int().describe('0 is the region itself; the others are shards.'),
  leader: z
    .number()
    .int()
    .nullable()
    .describe('Member id; null when nobody leads, as far as is known.'),
  term: z.number().int(),
  commit: z.number().int(),
  voters: z.array(z.number().int()),
  learners: z.array(z.number().int()),
  isChanging: z.boolean().describe('Its members are being exchanged.'),
  hasQuorum: z.boolean(),
  lag: z.array(
    z.object({
      memberId: z.number().int(),
      entries: z.number().int().describe('Entries that it lacks of what is committed.'),
      isActive: z.boolean(),
    }),
  ),
})

const conflict = z.object({
  regionId: z.string(),
  memberCount: z.number().int(),
  founded: z.iso.datetime(),
  speakers: z.array(z.string()).describe('Peers that speak for it.'),
  isOursToGiveWay: z.boolean(),
  isRefused: z.boolean().describe('That region does not let this peer in.'),
})

/** GET /api/region. */
export const regionSchema = z.object({
  name: z.string(),
  engine: z.enum(['tracker', 'etcd']),
  state: z.enum(['stopped', 'starting', 'running', 'failed']),
  error: z.string().nullable(),
  phase: z
    .string()
    .nullable()
    .describe('`looking` for a region, `entering` one, `member` of one; null with etcd.'),
  regionId: z.string().nullable(),
  memberId: z.number().int().nullable().describe('This peer.'),
  founded: z.iso.datetime().nullable(),
  memberCount: z.number().int(),
  hasQuorum: z.boolean(),
  isDegraded: z.boolean().describe('It has had no quorum for long.'),
  waitsFor: z
    .string()
    .nullable()
    .describe('A region that is there and can let nobody in for want of a quorum.'),
  contacts: z
    .array(z.string())
    .describe(
      'Other members by peer id, as this peer remembers them: some of them in a large region.',
    ),
  members: z.array(member),
  groups: z.array(group),
  conflicts: z
    .array(conflict)
    .describe('Other regions of the name, which do not go away by themselves.'),
})

/** Which of the streams are told of. */
export const ownersQuerySchema = z.object({
  limit: pageFields(streamOwnerLimits.streamsMax).limit,
  skip: z.coerce.number().int().min(0).default(0).describe('Leaves out so many at the beginning.'),
})

/** GET /api/region/streams: a part of the live streams that this peer knows, by name, and how many there are in all. */
export const ownersSchema = z.object({
  streams: z.array(
    z.object({
      name: z.string(),
      id: z.string(),
      state: z
        .enum(['owned', 'free', 'unknown'])
        .describe('`free`: nobody in this region owns it; `unknown`: the region did not say.'),
      owner: z.string().nullable().describe('Peer id.'),
      isSelf: z.boolean().describe('This peer is the owner.'),
      since: z.iso.datetime().nullable().describe('By the clock of the owner.'),
      token: z
        .object({ term: z.number().int(), index: z.number().int() })
        .nullable()
        .describe('Fences what the owner writes; larger than that of every owner before.'),
      leftMs: z
        .number()
        .nullable()
        .describe('Time for which this peer owns it unless it renews; null for other owners.'),
      problem: z.string().nullable().describe('Why the region did not say.'),
    }),
  ),
  total: z.number().int(),
  leaseMs: z.number().describe('A lease is over so long after its last renewal.'),
})

/** POST /api/region/merge. */
export const mergeSchema = z.strictObject({
  regionId: z.string().regex(/^[0-9a-f]{8,128}$/),
})

/** POST /api/region/forget. */
export const forgetSchema = z.strictObject({
  regionId: z
    .string()
    .regex(/^[0-9a-f]{8,128}$/)
    .describe('The region to be given up, so that no other one is by mistake.'),
})
