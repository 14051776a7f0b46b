/** /api/region: the region that this peer is in, and what an operator may do to it; fronts `coordination/coordination-service`. */
import type { RegionConflict, RegionView } from '@kairo/tracker'
import type { z } from 'zod'
import type { CoordinationService } from '../coordination/coordination-service.ts'
import { isKairoError, KairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { doneSchema } from './schemas.ts'
import { forgetSchema, mergeSchema, regionSchema } from './schemas-region.ts'

/** The rooms behind the routes. */
export interface RegionRouteComponents {
  readonly coordination: Pick<CoordinationService, 'status' | 'view' | 'leave' | 'forget' | 'merge'>
}

const done = { status: 200 as const, body: { done: true as const } }

/** Routes that only the operator may call. */
export function regionRoutes({ coordination }: RegionRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/region',
      summary: 'Tells the members of the region that this peer is in, and how its groups stand.',
      access: 'operator',
      response: { 200: regionSchema },
      handler: async () => ({ status: 200, body: await regionAnswer(coordination) }),
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

async function regionAnswer(
  coordination: RegionRouteComponents['coordination'],
): Promise<z.input<typeof regionSchema>> {
  const { engine, state, error, region, agent } = coordination.status
  const isThere = engine === 'tracker' && state === 'running'
  const found = isThere ? await whole(coordination) : { failure: error }
  const { members = [], groups = [] } = found.view ?? {}
  const status = found.view ?? agent
  const { facts } = status ?? {}
  return {
    ...{ name: region, engine, state, error: found.failure?.message ?? null },
    phase: status?.phase ?? null,
    regionId: facts?.regionId ?? null,
    memberId: facts?.memberId ?? null,
    founded: facts === undefined ? null : isoTime(facts.foundedAtMs),
    memberCount: status?.memberCount ?? 0,
    hasQuorum: status?.hasQuorum ?? false,
    isDegraded: status?.isDegraded ?? false,
    waitsFor: status?.waitsFor ?? null,
    members: members.map((one) => memberAnswer(one, facts?.memberId)),
    groups: groups.map(groupAnswer),
    conflicts: status?.conflicts.map(conflictAnswer) ?? [],
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
): z.input<typeof regionSchema>['members'][number] {
  const isSelf = member.memberId === self
  const since = sinceMs === undefined ? null : isoTime(sinceMs)
  return { ...member, isSelf, since, roles: [...roles] }
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
