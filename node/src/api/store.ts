/** /api/store: what the content store holds, and what the operator keeps in it; fronts `content/store` and `content/replication`. */
import { z } from 'zod'
import { cidOf, type Digest, digestOfCid } from '../content/digest.ts'
import type { Replication } from '../content/replication/replication.ts'
import { bitOf, type Keeper, keepers, keepersIn } from '../content/store/keepers.ts'
import type { ContentStore } from '../content/store/store.ts'
import { KairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { storeLimits } from '../limits/store.ts'
import { pageFields } from './page-query.ts'
import { doneSchema } from './schemas.ts'
import {
  cidSchema,
  keptObjectSchema,
  keptSchema,
  ownerUsageSchema,
  storeSchema,
} from './schemas-store.ts'

/** The rooms behind the routes. */
export interface StoreRouteComponents {
  readonly store: Pick<
    ContentStore,
    'health' | 'usage' | 'usageOf' | 'kept' | 'keep' | 'release' | 'has' | 'sizeOf'
  >
  readonly replication: Pick<Replication, 'obtain'>
}

const params = z.object({ cid: cidSchema })
const listQuery = z.object({
  after: cidSchema.optional().describe('Lists those behind this one.'),
  limit: pageFields(storeLimits.keptPageObjects).limit,
  by: z.enum(keepers).optional().describe('Lists those that this keeper keeps, whoever else does.'),
})
const ownerQuery = z.object({
  kind: z.enum(['tenant', 'stream']),
  name: z.string().min(1).max(storeLimits.ownerNameBytesMax),
})

/** Routes that only the operator may call. */
export function storeRoutes({ store, replication }: StoreRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/store',
      summary: 'Tells what the content store holds, and whether it does all it should.',
      access: 'operator',
      response: { 200: storeSchema },
      handler: () => ({
        status: 200,
        body: { ...store.health(), ...store.usage, keptObjects: store.kept.size },
      }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/store/usage',
      summary: 'Tells how much of the disk one tenant or one stream has.',
      access: 'operator',
      query: ownerQuery,
      response: { 200: ownerUsageSchema },
      handler: ({ query: { kind, name } }) => ({ status: 200, body: store.usageOf(kind, name) }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/store/kept',
      summary: 'Lists kept objects in the order of their names, some at a time.',
      access: 'operator',
      query: listQuery,
      response: { 200: keptSchema },
      handler: ({ query }) => ({ status: 200, body: listKept(store, query) }),
    }),
    defineRoute({
      method: 'PUT',
      path: '/api/store/kept/:cid',
      summary:
        'Keeps an object until it is released; one that is not here is fetched from other peers first.',
      access: 'operator',
      params,
      response: { 200: keptObjectSchema },
      handler: async ({ params: { cid }, signal }) => {
        const digest = digestNamed(cid)
        if (!store.has(digest)) await replication.obtain(digest, { signal })
        await store.keep(digest, 'operator')
        return { status: 200, body: { cid, bytes: store.sizeOf(digest) ?? 0 } }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/store/kept/:cid',
      summary:
        'Keeps an object no longer for the operator; it goes like others, unless a pinned tree keeps it too.',
      access: 'operator',
      params,
      response: { 200: doneSchema },
      handler: async ({ params: { cid } }) => {
        const digest = digestNamed(cid)
        if (!keepersOf(store, digest).includes('operator')) {
          throw new KairoError('ERR_NOT_FOUND', 'the operator does not keep it')
        }
        await store.release(digest, 'operator')
        return { status: 200, body: { done: true as const } }
      },
    }),
  ]
}

function listKept(
  store: StoreRouteComponents['store'],
  { after, limit, by }: z.output<typeof listQuery>,
): z.input<typeof keptSchema> {
  const digests: Digest[] = []
  for (const [digest, bits] of store.kept) {
    if (by === undefined || (bits & bitOf(by)) !== 0) digests.push(digest)
  }
  const cids = digests.map(cidOf).sort()
  const first = after === undefined ? 0 : cids.findIndex((cid) => cid > after)
  const page = first < 0 ? [] : cids.slice(first, first + limit)
  const objects = page.map((cid) => {
    const digest = digestNamed(cid)
    return { cid, bytes: store.sizeOf(digest) ?? null, by: keepersOf(store, digest) }
  })
  return { total: cids.length, objects }
}

function keepersOf({ kept }: StoreRouteComponents['store'], digest: Digest): Keeper[] {
  return keepersIn(kept.get(digest) ?? 0)
}

function digestNamed(cid: string): Digest {
  const digest = digestOfCid(cid)
  if (digest === undefined) {
    throw new KairoError('ERR_INVALID_INPUT', 'only objects of the raw codec and SHA-256 are kept')
  }
  return digest
}
