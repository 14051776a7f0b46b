/** /api/swarms: who holds and who watches what, as the leaders of the region know it; fronts `coordination/swarm-view`. */
import type { z } from 'zod'
import type { Directory } from '../content/records/directory.ts'
import type { StreamRecord } from '../content/stream.ts'
import type { SwarmOfStream, SwarmView } from '../coordination/swarm-view.ts'
import { KairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import {
  swarmParamsSchema,
  swarmSchema,
  swarmsQuerySchema,
  swarmsSchema,
} from './schemas-swarms.ts'
import { liveStreams } from './stream-view.ts'

/** The rooms behind the routes. */
export interface SwarmRouteComponents {
  readonly directory: Pick<Directory, 'list' | 'uniqueName' | 'resolve'>
  readonly swarmView: Pick<SwarmView, 'totals' | 'streams' | 'holders'>
}

/** Routes that only the operator may call. */
export function swarmRoutes(components: SwarmRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/swarms',
      summary:
        'Tells how many peers of the region hold each live stream that this peer knows, and how many watch.',
      access: 'operator',
      query: swarmsQuerySchema,
      response: { 200: swarmsSchema },
      handler: async ({ query }) => ({ status: 200, body: await swarmsAnswer(components, query) }),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/swarms/:stream',
      summary:
        'Tells which other peers of the region hold something of a stream, the ones with the most free upload first.',
      access: 'operator',
      params: swarmParamsSchema,
      response: { 200: swarmSchema },
      handler: async ({ params }) => ({
        status: 200,
        body: await swarmAnswer(components, params.stream),
      }),
    }),
  ]
}

async function swarmsAnswer(
  { directory, swarmView }: SwarmRouteComponents,
  page: z.output<typeof swarmsQuerySchema>,
): Promise<z.input<typeof swarmsSchema>> {
  const { part, total } = liveStreams(directory, page)
  const [totals, swarms] = await Promise.all([
    swarmView.totals(),
    swarmView.streams(part.map(({ id }) => id)),
  ])
  const streams = part.map((stream, at) => ({
    ...stream,
    ...figures(swarms[at] as SwarmOfStream),
  }))
  return { totals: { ...totals }, streams, total }
}

async function swarmAnswer(
  { directory, swarmView }: SwarmRouteComponents,
  name: string,
): Promise<z.input<typeof swarmSchema>> {
  const record: StreamRecord | undefined = directory.resolve(name)
  if (record === undefined) throw new KairoError('ERR_NOT_FOUND', `no stream is called ${name}`)
  const names = record.renditions.map((rendition) => rendition.name)
  const [[swarm], renditions] = await Promise.all([
    swarmView.streams([record.id]),
    swarmView.holders(record.id, names),
  ])
  return {
    ...{ id: record.id, name: directory.uniqueName(record) },
    ...figures(swarm as SwarmOfStream),
    renditions: renditions.map(({ rendition, holders, problem }) => ({
      name: rendition,
      problem: problem ?? null,
      holders: holders.map(({ peerId, uploadFreeKbps, busyPermille }) => ({
        ...{ peerId, uploadFreeKbps, load: busyPermille / 1_000 },
      })),
    })),
  }
}

function figures({ viewers, holders, problem }: SwarmOfStream) {
  return { viewers, holders, problem: problem ?? null }
}
