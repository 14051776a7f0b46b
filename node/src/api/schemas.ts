/** The shapes of the peer's API answers: the routes declare them, the command line checks against them. */
import { z } from 'zod'

const rendition = z.object({
  name: z.string(),
  kind: z.enum(['video', 'audio', 'captions']),
  codecs: z.string(),
  bandwidthBps: z.number(),
  width: z.number(),
  height: z.number(),
  frameRate: z.number(),
  channels: z.number(),
  videoRange: z.enum(['PQ', 'HLG']).optional().describe('Absent for SDR.'),
  language: z.string().optional(),
  label: z.string().optional(),
  closedCaptions: z.boolean().optional().describe('CEA-608 in the pictures.'),
})

const stream = z.object({
  name: z.string(),
  id: z.string(),
  title: z.string(),
  state: z.enum(['live', 'ended']),
  originPeer: z.string(),
  sourcePeer: z
    .string()
    .nullable()
    .describe('Peer that this peer receives the stream from; null while it does not follow it.'),
  status: z.enum(['origin', 'connecting', 'following', 'lost', 'known']),
  lease: z
    .enum(['confirmed', 'unconfirmed'])
    .nullable()
    .describe(
      'Whether the region says that this peer alone publishes the stream; null for one that is not published here now.',
    ),
  startedAt: z.iso.datetime(),
  renditions: z.array(rendition),
  viewers: z
    .number()
    .describe('Viewers of this peer in the last ten seconds, estimated by address.'),
  regionViewers: z
    .number()
    .nullable()
    .describe('The same at all peers of the region; null while that is not known.'),
})

/** GET /api/streams. */
export const streamsSchema = z.object({ streams: z.array(stream) })

/** One stream as the API tells it. */
export type StreamView = z.output<typeof stream>

/** GET /api/peer. */
export const peerSchema = z.object({
  peerId: z.string(),
  version: z.string(),
  agent: z.string(),
  multiaddrs: z.array(z.string()),
  rtmpPort: z
    .number()
    .int()
    .nullable()
    .describe('Port of the RTMP ingest at the host of this URL; null when RTMP is off.'),
  srtPort: z
    .number()
    .int()
    .nullable()
    .describe('UDP port of the SRT ingest at the host of this URL; null when SRT is off.'),
  encoders: z
    .array(z.string())
    .describe('Encoders that worked when this peer tried them; empty while it does.'),
  connectedPeers: z.number().int().describe('Peers that this one is connected to now.'),
  time: z.iso.datetime().describe("This peer's clock, by which others check theirs."),
})

/** GET /api/status. */
export const statusSchema = z.object({
  peerId: z.string(),
  version: z.string(),
  uptimeS: z.number(),
  home: z.string(),
  addresses: z.object({
    http: z.string(),
    rtmp: z.string().nullable(),
    srt: z.string().nullable(),
    network: z
      .object({
        http: z.array(z.string()),
        rtmp: z.array(z.string()),
        srt: z.array(z.string()),
      })
      .describe('The same for other machines of the local network.'),
    multiaddrs: z.array(z.string()),
  }),
  peers: z.array(z.object({ peerId: z.string(), address: z.string(), direction: z.string() })),
  streams: z.array(stream),
  publishers: z.array(
    z.object({
      stream: z.string(),
      protocol: z.string(),
      remote: z.string(),
      since: z.iso.datetime(),
      bitrateBps: z.number(),
    }),
  ),
  store: z.object({
    memoryBytes: z.number(),
    memoryBytesMax: z.number(),
    diskBytes: z.number(),
    diskBytesMax: z.number(),
    degraded: z.boolean(),
  }),
  mediaChildren: z.array(
    z.object({
      pid: z.number().nullable(),
      state: z.string(),
      job: z.string().nullable().describe('Type of its job; null while it waits for one.'),
      label: z.string(),
      cpuS: z.number(),
      rssBytes: z.number(),
    }),
  ),
  watchFolder: z
    .object({
      directory: z.string(),
      taken: z.number(),
      pending: z.number(),
      failures: z.array(z.object({ path: z.string(), code: z.string(), message: z.string() })),
    })
    .nullable(),
  join: z.array(z.object({ target: z.string(), state: z.string(), error: z.string().nullable() })),
  testStream: z.object({ state: z.string(), error: z.string().nullable() }).nullable(),
  region: z.object({
    name: z.string(),
    engine: z.enum(['tracker', 'etcd']),
    state: z.enum(['stopped', 'starting', 'running', 'failed']),
    error: z.string().nullable(),
    phase: z.string().nullable().describe('`member`: in the region; null with etcd.'),
    memberCount: z.number().int(),
    hasQuorum: z.boolean(),
    isDegraded: z.boolean().describe('It has had no quorum for long.'),
    conflicts: z.number().int(),
  }),
})

const key = z.object({
  name: z.string(),
  id: z.string(),
  title: z.string(),
  builtIn: z.boolean(),
  pushUrl: z
    .string()
    .nullable()
    .describe('Where to push by RTMP, with the stream key; null when RTMP is off.'),
  srtUrl: z
    .string()
    .nullable()
    .describe('Where to send SRT to, with the stream key; null when SRT is off.'),
  streamKey: z.string(),
})

/** GET /api/keys. */
export const keysSchema = z.object({ keys: z.array(key) })

/** POST /api/keys: the answer. */
export const keySchema = key

/** POST /api/keys: the request. */
export const newKeySchema = z.strictObject({
  name: z.string().min(1).max(64).optional(),
  title: z.string().min(1).max(200).optional(),
})

/** GET /api/doctor. */
export const doctorSchema = z.object({
  checks: z.array(
    z.object({
      name: z.string(),
      status: z.enum(['ok', 'warn', 'fail']),
      detail: z.string(),
      hint: z.string().optional(),
    }),
  ),
})

/** GET /api/config. */
export const configSchema = z.object({
  settings: z.array(z.object({ name: z.string(), value: z.unknown(), origin: z.string() })),
})

/** The answer to a change that has nothing else to say. */
export const doneSchema = z.object({ done: z.literal(true) })
