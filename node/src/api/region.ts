/** /api/region: the region that this peer is in, and what an operator may do to it; fronts `coordination/coordination-service`. */
import type { RegionConflict, RegionView } from '@kairo/tracker'
import type { z } from 'zod'
import type { Directory } from '../content/records/directory.ts'
import type { CoordinationService } from '../coordination/coordination-service.ts'
import type { OwnedStream, StreamOwners } from '../coordination/stream-owners.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { streamLeaseLimits } from '../limits/stream-leases.ts'
import { doneSchema } from './schemas.ts'
import {
  forgetSchema,
  mergeSchema,
  ownersQuerySchema,
  ownersSchema,
  regionSchema,
} from './schemas-region.ts'
import { liveStreams } from './stream-view.ts'

/** The rooms behind the routes. */
export interface RegionRouteComponents {
  readonly coordination: Pick<CoordinationService, 'status' | 'view' | 'leave' | 'forget' | 'merge'>
  readonly host: { peers(): readonly string[] }
  readonly directory: Pick<Directory, 'list' | 'uniqueName'>
  readonly streamOwners: Pick<StreamOwners, 'read'>
}

const done = { status: 200 as const, body: { done: true as const } }

/** Routes that only the operator may call. */
export function regionRoutes(components: RegionRouteComponents): Route[] {
  const { coordination } = components
  return [
    defineRoute({
      method: 'GET',
      path: '/api/region',
      summary: 'Tells the members of the region that this peer is in, and how its groups stand.',
      access: 'operator',
      response: { 200: regionSchema },
      handler: async () => ({ status: 200, body: await regionAnswer(components) }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/region/streams',
      summary: 'Tells which peer owns each live stream that this peer knows, as its region says.',
      access: 'operator',
      query: ownersQuerySchema,
      response: { 200: ownersSchema },
      handler: async ({ query }) => ({ status: 200, body: await ownersAnswer(components, query) }),
    }),
    defineRoute({
      method: 'POST',
      path: '/api/region/leave',
      summary: 'Leaves the region; this peer joins none until its next start.',
      access: 'operator',
      response: { 200: doneSchema },
      handler: async () => {
        await coordination.leave()
        return done
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/region/forget',
      summary:
        'Gives up what this peer holds of a region whose quorum does not come back, and founds a new one. What only it held is lost.',
      access: 'operator',
      body: forgetSchema,
      response: { 200: doneSchema },
      handler: async ({ body: { regionId } }) => {
        const own = coordination.status.agent?.facts?.regionId
        if (own !== regionId) {
          const where = own === undefined ? 'in no region' : `in the region ${own}`
          throw new KairoError('ERR_INVALID_INPUT', `this peer is ${where}`)
        }
        await coordination.forget()
        return done
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/region/merge',
      summary: 'Moves this member to another region of the name, one that it met.',
      access: 'operator',
      body: mergeSchema,
      response: { 200: doneSchema },
      handler: async ({ body: { regionId } }) => {
        await coordination.merge(regionId)
        return done
      },
    }),
  ]
}

async function regionAnswer({
  coordination,
  host,
}: RegionRouteComponents): Promise<z.input<typeof regionSchema>> {
  const before = coordination.status
  const isThere = before.engine === 'tracker' && before.state === 'running'
  const found = isThere ? await whole(coordination) : { failure: before.error }
  const { engine, state, region, agent } = coordination.status
  const { members = [], groups = [] } = found.view ?? {}
  const status = found.view ?? agent
  const { facts } = status ?? {}
  const connected = new Set(host.peers())
  return {
    ...{ name: region, engine, state, error: found.failure?.message ?? null },
    phase: status?.phase ?? null,
    regionId: facts?.regionId ?? null,
    memberId: facts?.memberId ?? null,
    founded: facts === undefined ? null : isoTime(facts.foundedAtMs),
    memberCount: status?.memberCount ?? 0,
    hasQuorum: (status?.hasQuorum ?? false) && hasLeader(groups),
    isDegraded: status?.isDegraded ?? false,
    waitsFor: status?.waitsFor ?? null,
    contacts: [...(facts?.contacts ?? [])],
    members: members.map((one) => memberAnswer(one, facts?.memberId, connected)),
    groups: groups.map(groupAnswer),
    conflicts: status?.conflicts.map(conflictAnswer) ?? [],
  }
}

/** This peer learns a few seconds later than its members do that the region has lost its quorum. */
function hasLeader(groups: RegionView['groups']): boolean {
  return groups.find(({ group }) => group === 0)?.hasQuorum ?? true
}

async function ownersAnswer(
  { directory, streamOwners }: RegionRouteComponents,
  page: z.output<typeof ownersQuerySchema>,
): Promise<z.input<typeof ownersSchema>> {
  const { part, total } = liveStreams(directory, page)
  const owners = await streamOwners.read(part.map(({ id }) => id))
  const streams = owners.map((owner, index) => ownerAnswer(part[index]?.name ?? owner.id, owner))
  return { streams, total, leaseMs: streamLeaseLimits.ttlMs }
}

function ownerAnswer(
  name: string,
  { id, state, owner, isSelf, token, leftMs, problem }: OwnedStream,
): z.input<typeof ownersSchema>['streams'][number] {
  return {
    ...{ name, id, state, isSelf, token: token === undefined ? null : { ...token } },
    owner: owner?.peerId ?? null,
    since: owner === undefined ? null : isoTime(owner.sinceMs),
    leftMs: leftMs ?? null,
    problem: problem ?? null,
  }
}

/** A region that answers nothing is when its operator asks most: what this peer knows by itself is told then, and why there is no more. */
async function whole(
  coordination: RegionRouteComponents['coordination'],
): Promise<{ readonly view?: RegionView; readonly failure?: KairoError }> {
  try {
    return { view: await coordination.view() }
  } catch (error) {
    if (!isKairoError(error)) throw error
    return { failure: error }
  }
}

function memberAnswer(
  { sinceMs, roles, ...member }: RegionView['members'][number],
  self: number | undefined,
  connected: ReadonlySet<string>,
): z.input<typeof regionSchema>['members'][number] {
  const isSelf = member.memberId === self
  const since = sinceMs === undefined ? null : isoTime(sinceMs)
  const isConnected = isSelf || connected.has(member.peerId)
  return { ...member, isSelf, isConnected, since, roles: [...roles] }
}

function groupAnswer({
  leader,
  voters,
  learners,
  lag,
  ...group
}: RegionView['groups'][number]): z.input<typeof regionSchema>['groups'][number] {
  return {
    ...group,
    leader: leader ?? null,
    voters: [...voters],
    learners: [...learners],
    lag: lag.map((one) => ({ ...one })),
  }
}

function conflictAnswer({
  foundedAtMs,
  speakers,
  ...conflict
}: RegionConflict): z.input<typeof regionSchema>['conflicts'][number] {
  return { ...conflict, founded: isoTime(foundedAtMs), speakers: [...speakers] }
}

/** Times of other peers are what they say; some cannot be a date. */
function isoTime(ms: number): string {
  const date = new Date(Math.min(ms, 8.64e15))
  return date.toISOString()
}
