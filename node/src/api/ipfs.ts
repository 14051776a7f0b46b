/** /ipfs/ and /api/ipfs: the trustless gateway, and the trees that this peer keeps; fronts `ipfs/service`. */
import { z } from 'zod'
import { attachment } from '../http/content-disposition.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { defineStreamRoute, type StreamAnswer, type StreamRoute } from '../http/stream-route.ts'
import { parseCid } from '../ipfs/block-name.ts'
import type { PinInfo } from '../ipfs/pins.ts'
import type { IpfsService } from '../ipfs/service.ts'
import { writeTar } from '../ipfs/tar/tar-writer.ts'
import { resolvePath } from '../ipfs/trees/resolve-path.ts'
import { treeEntries } from '../ipfs/trees/tree-entries.ts'
import { gatewayLimits, ipfsLimits } from '../limits/ipfs.ts'
import { pageFields } from './page-query.ts'
import { doneSchema } from './schemas.ts'
import {
  cidSchema,
  ipfsPeerSchema,
  newIpfsPeerSchema,
  newPinSchema,
  pinSchema,
  pinsSchema,
} from './schemas-ipfs.ts'

/** The rooms behind the routes. */
export interface IpfsRouteComponents {
  readonly ipfs: Pick<IpfsService, 'pins' | 'trees' | 'gateway' | 'sources' | 'connect'>
}

/** Routes that only the operator may call. */
export function ipfsRoutes({ ipfs }: IpfsRouteComponents): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/ipfs/pins',
      summary: 'Lists the IPFS trees that this peer keeps, newest first.',
      access: 'operator',
      query: z.object(pageFields(ipfsLimits.pinsMax)),
      response: { 200: pinsSchema },
      handler: ({ query: { limit, skip } }) => {
        const pins = ipfs.pins.list()
        const listed = pins.slice(skip, skip + limit).map(view)
        return { status: 200, body: { pins: listed, total: pins.length } }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/ipfs/pins',
      summary: 'Gets an IPFS tree from wherever this peer is connected to, and keeps it.',
      access: 'operator',
      body: newPinSchema,
      response: { 200: pinSchema },
      handler: async ({ body: { cid, name, peer }, signal }) => {
        const root = parseCid(cid)
        if (peer !== undefined) await ipfs.connect(peer, signal)
        return { status: 200, body: view(await ipfs.trees.fetch(root, { name, signal })) }
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/api/ipfs/pins/:cid',
      summary: 'Keeps an IPFS tree no longer; what no other tree shares may be evicted then.',
      access: 'operator',
      params: z.object({ cid: cidSchema }),
      response: { 200: doneSchema },
      handler: async ({ params }) => {
        await ipfs.pins.remove(params.cid)
        return { status: 200, body: { done: true as const } }
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/ipfs/peers',
      summary: 'Connects to an IPFS peer by its multiaddr, so that it is asked for blocks.',
      access: 'operator',
      body: newIpfsPeerSchema,
      response: { 200: ipfsPeerSchema },
      handler: async ({ body, signal }) => ({
        status: 200,
        body: { peerId: await ipfs.connect(body.address, signal) },
      }),
    }),
  ]
}

/** The gateway, and what the operator adds and takes out. */
export function ipfsStreamRoutes({ ipfs }: IpfsRouteComponents): StreamRoute[] {
  const gateway = {
    methods: ['GET', 'HEAD'],
    access: 'public',
    statuses: [200, 206, 304],
    requestsMax: gatewayLimits.requestsMax,
    requestsPerAddressMax: gatewayLimits.requestsPerAddressMax,
    handler: (request: Parameters<typeof ipfs.gateway.answer>[0]) => ipfs.gateway.answer(request),
  } as const
  return [
    defineStreamRoute({
      ...gateway,
      path: '/ipfs/:cid',
      summary:
        'A block (format=raw), a tree (format=car) or a file by its CID: the trustless gateway.',
    }),
    defineStreamRoute({
      ...gateway,
      path: '/ipfs/:cid/*',
      summary: 'The same for a path below a CID.',
    }),
    ...operatorStreams({ ipfs }),
  ]
}

function operatorStreams({ ipfs }: IpfsRouteComponents): StreamRoute[] {
  const rule = {
    access: 'operator',
    requestsMax: ipfsLimits.addsMax,
    requestsPerAddressMax: ipfsLimits.addsMax,
  } as const
  return [
    defineStreamRoute({
      ...rule,
      methods: ['POST'],
      path: '/api/ipfs/add',
      summary:
        'Adds a file and keeps it; a folder comes as application/x-tar, blocks as application/vnd.ipld.car.',
      query: z.object({ name: z.string().max(255).default('') }),
      requestType: 'application/octet-stream',
      statuses: [200],
      responseType: 'application/json',
      handler: async ({ query: { name }, headers, body, signal }) => {
        const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
        const options = { name, signal }
        if (type === 'application/x-tar') return answer(await ipfs.trees.addTar(body, options))
        if (type === 'application/vnd.ipld.car') {
          return answer(await ipfs.trees.addCar(body, options))
        }
        return answer(await ipfs.trees.addFile(body, options))
      },
    }),
    defineStreamRoute({
      ...rule,
      methods: ['GET'],
      path: '/api/ipfs/export/:cid',
      summary:
        'A file or folder as a tar archive, from this peer, other Kairo peers and connected IPFS peers.',
      params: z.object({ cid: cidSchema }),
      query: z.object({ path: z.string().max(ipfsLimits.pathCharsMax).default('') }),
      statuses: [200],
      responseType: 'application/x-tar',
      handler: async ({ params, query, signal }) => {
        const { network } = ipfs.sources
        const segments = query.path.split('/').filter((name) => name !== '')
        const { cid } = await resolvePath(network, parseCid(params.cid), segments, { signal })
        const name = segments.at(-1) ?? params.cid
        // Read once before the head leaves, so that what is nowhere is a problem document and no broken archive.
        await network.get(cid, { signal })
        return {
          status: 200,
          headers: {
            'content-type': 'application/x-tar',
            'content-disposition': attachment(`${name}.tar`),
            'cache-control': 'no-store',
          },
          body: writeTar(treeEntries(network, cid, name, { signal })),
        }
      },
    }),
  ]
}

function answer(pin: PinInfo): StreamAnswer {
  const body = Buffer.from(JSON.stringify(view(pin)))
  return {
    status: 200,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(body.byteLength),
    },
    body,
  }
}

function view({ createdAtMs, ...pin }: PinInfo): z.input<typeof pinSchema> {
  return { ...pin, created: new Date(createdAtMs).toISOString() }
}
