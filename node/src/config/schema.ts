/**
 * Every setting of a peer: one zod schema, from which the types, the command-line flags, the environment variables,
 * `kairo config` and docs/settings.md all follow.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { isHostAndPort } from '../urls.ts'
import { parseAddress } from './address.ts'

/** How a setting is named outside the configuration file. */
export interface SettingNames {
  /** Command-line flag, with its dashes. A boolean flag also has a `--no-` form. */
  readonly flag: string
  /** Environment variable; lists are separated by commas. */
  readonly env: string
}

const MiB = 1024 * 1024
const GiB = 1024 * MiB

const address = z.string().refine((text) => parseAddress(text) !== undefined, {
  error:
    'expected host:port, for example 127.0.0.1:8080, [::1]:8080 or :8080 (port 0 takes a free one)',
})

const announcedAddress = z.string().refine(isHostAndPort, {
  error: 'expected host:port, for example edge-1.example:4443 or [2001:db8::1]:4443',
})

const multiaddrText = z
  .string()
  .regex(/^\/[a-z0-9]+\/.+/, 'expected a multiaddr, for example /ip4/0.0.0.0/tcp/4001')

const joinTarget = z
  .string()
  .regex(
    /^(\/[a-z0-9]+\/.+|https?:\/\/.+)$/,
    'expected a multiaddr or an http(s) URL of a peer, for example http://192.0.2.7:8080',
  )

function isOnEarth(location: string): boolean {
  const [latitude = 0, longitude = 0] = location.split(',').map(Number)
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180
}

function named<T extends z.ZodType>(schema: T, names: SettingNames, description: string): T {
  return schema.describe(description).meta({ ...schema.meta(), description, ...names })
}

/** The settings of a peer. Sizes are bytes and times milliseconds, as their names say. */
export const settingsSchema = z.strictObject({
  home: named(
    z.string().min(1).default(join(homedir(), '.kairo')),
    { flag: '--home', env: 'KAIRO_HOME' },
    'Folder of identity, keys and data. Two peers on one machine need two of them and nothing else.',
  ),
  http: named(
    address.default('0.0.0.0:8080'),
    { flag: '--http', env: 'KAIRO_HTTP' },
    'Address of the HTTP server: players, pages, API and metrics. When the default port is taken, a free one is used.',
  ),
  rtmp: named(
    z.union([z.literal('off'), address]).default('0.0.0.0:1935'),
    { flag: '--rtmp', env: 'KAIRO_RTMP' },
    'Address of the RTMP ingest, or `off`. When the default port is taken, a free one is used.',
  ),
  srt: named(
    z.union([z.literal('off'), address]).default('0.0.0.0:8890'),
    { flag: '--srt', env: 'KAIRO_SRT' },
    'Address (UDP) of the SRT ingest, or `off`. When the default port is taken, a free one is used.',
  ),
  srtPassphrase: named(
    z
      .string()
      .refine((text) => text === '' || (text.length >= 10 && text.length <= 79), {
        error: 'expected 10 to 79 characters, or nothing',
      })
      .default(''),
    { flag: '--srt-passphrase', env: 'KAIRO_SRT_PASSPHRASE' },
    'Passphrase that SRT publishers must encrypt with, 10 to 79 characters; empty takes clear streams. A stream may have its own.',
  ),
  defaultQuality: named(
    z
      .string()
      .regex(
        /^[a-z0-9][a-z0-9-]{0,31}$/,
        'expected source, auto, a height such as 720p, or the name of a preset',
      )
      .default('auto'),
    { flag: '--default-quality', env: 'DEFAULT_QUALITY' },
    'What is made of a stream that says nothing else: `source` (no transcoding), `auto` (a ladder below the source), a height such as `720p` (a ladder from there down), or the name of a preset.',
  ),
  nvencEnabled: named(
    z.boolean().default(true),
    { flag: '--nvenc', env: 'NVENC_ENABLED' },
    'Encode on NVIDIA GPUs where that works.',
  ),
  transcodeCores: named(
    z.number().min(0).max(1024).default(0),
    { flag: '--transcode-cores', env: 'KAIRO_TRANSCODE_CORES' },
    'Processor cores that transcoding may use, fractions too. 0 leaves a share of the machine to playback: half of up to two cores, one core less than all of more.',
  ),
  mediaChildrenMax: named(
    z.number().int().min(1).max(256).default(16),
    { flag: '--media-children-max', env: 'KAIRO_MEDIA_CHILDREN_MAX' },
    'Media child processes at once: transcoders, pulls, restream targets, jobs of the video library.',
  ),
  record: named(
    z.boolean().default(false),
    { flag: '--record', env: 'KAIRO_RECORD' },
    'Record every stream that says nothing else; a recording becomes a video of the library.',
  ),
  dvrWindowS: named(
    z.number().int().min(0).max(86_400).default(1_800),
    { flag: '--dvr-window-s', env: 'KAIRO_DVR_WINDOW_S' },
    'How far back viewers of a live stream may go, seconds, unless the stream says otherwise. 0 keeps the live window only.',
  ),
  vodBytesMax: named(
    z
      .number()
      .int()
      .min(0)
      .default(50 * GiB),
    { flag: '--vod-bytes-max', env: 'KAIRO_VOD_BYTES_MAX' },
    'Disk for recordings, videos on demand, DVR windows and uploads together, under the home folder.',
  ),
  shareVideos: named(
    z.boolean().default(true),
    { flag: '--share-videos', env: 'KAIRO_SHARE_VIDEOS' },
    'Tell the network of the videos of this peer: they are listed and play at every peer.',
  ),
  watchFolder: named(
    z.string().default(''),
    { flag: '--watch-folder', env: 'KAIRO_WATCH_FOLDER' },
    'Folder whose video files are taken into the library as they appear; empty watches none.',
  ),
  uploads: named(
    z.enum(['local', 'operator', 'off']).default('local'),
    { flag: '--uploads', env: 'KAIRO_UPLOADS' },
    'Who may upload videos: the operator and browsers on this very machine (`local`), the `operator` with the token only, or nobody (`off`).',
  ),
  webhookUrls: named(
    z.array(z.url({ protocol: /^https?$/ })).default([]),
    { flag: '--webhook-urls', env: 'KAIRO_WEBHOOK_URLS' },
    'Addresses that are told of streams starting and stopping, recordings and errors, by signed POST requests.',
  ),
  webhookSecret: named(
    z.string().default(''),
    { flag: '--webhook-secret', env: 'KAIRO_WEBHOOK_SECRET' },
    'Key of the HMAC-SHA256 signature of webhooks. Empty: one is made at the first start and kept in the home folder.',
  ),
  listen: named(
    z.array(multiaddrText).default(['/ip4/0.0.0.0/tcp/4001']),
    { flag: '--listen', env: 'KAIRO_LISTEN' },
    'Multiaddrs on which other peers connect. When the default port is taken, a free one is used.',
  ),
  announce: named(
    z.array(multiaddrText).default([]),
    { flag: '--announce', env: 'KAIRO_ANNOUNCE' },
    'Multiaddrs told to other peers in place of the ones listened on, for example behind a port forward.',
  ),
  join: named(
    z.array(joinTarget).default([]),
    { flag: '--join', env: 'KAIRO_JOIN' },
    'Peers to join: multiaddrs, or URLs of their HTTP servers. Tried again for as long as the peer runs.',
  ),
  mdns: named(
    z.boolean().default(true),
    { flag: '--mdns', env: 'KAIRO_MDNS' },
    'Find other peers on the local network by multicast DNS.',
  ),
  logLevel: named(
    z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    { flag: '--log-level', env: 'KAIRO_LOG_LEVEL' },
    'The least serious log lines to write, to standard error as JSON (readable lines on a terminal).',
  ),
  testStream: named(
    z.boolean().default(true),
    { flag: '--test-stream', env: 'KAIRO_TEST_STREAM' },
    'Publish a built-in test stream: a moving picture with a burned-in clock, and sound. Off unless asked for when `join` is set.',
  ),
  corsOrigins: named(
    z.array(z.string().min(1)).default(['*']),
    { flag: '--cors-origins', env: 'CORS_ORIGINS' },
    'Origins whose pages may read media and public API answers; `*` allows every page.',
  ),
  webtorrentTracker: named(
    z.boolean().default(true),
    { flag: '--webtorrent-tracker', env: 'KAIRO_WEBTORRENT_TRACKER' },
    'Be a WebTorrent tracker at `/announce`, so that players with p2p-media-loader find one another.',
  ),
  swarm: named(
    z.boolean().default(true),
    { flag: '--swarm', env: 'KAIRO_SWARM' },
    'Be the edge of swarms of viewers at `/swarm`, so that pages with the client library share what they fetch.',
  ),
  swarmTickets: named(
    z.enum(['off', 'required']).default('off'),
    { flag: '--swarm-tickets', env: 'KAIRO_SWARM_TICKETS' },
    'Whether pages need a signed ticket to enter a swarm. Tickets are signed with the secret in the home folder, `swarm.secret`.',
  ),
  iceServers: named(
    z
      .array(
        z.string().regex(/^stuns?:\S+$/, 'expected a STUN URL, for example stun:stun.example:3478'),
      )
      .max(8)
      .default([]),
    { flag: '--ice-servers', env: 'KAIRO_ICE_SERVERS' },
    'STUN servers that pages are told of, so that those behind different routers can connect: URLs such as `stun:stun.example:3478`.',
  ),
  signallingOrigins: named(
    z.array(z.string().min(1)).default([]),
    { flag: '--signalling-origins', env: 'KAIRO_SIGNALLING_ORIGINS' },
    'Origins whose pages may find one another through this peer; `*` lets every page, and those of this peer always may. Empty: those of `corsOrigins`.',
  ),
  partTargetMs: named(
    z.number().int().min(50).max(2_000).default(200),
    { flag: '--part-target-ms', env: 'KAIRO_PART_TARGET_MS' },
    'Length of an LL-HLS part. Rounded to whole frames of the stream.',
  ),
  segmentTargetMs: named(
    z.number().int().min(500).max(20_000).default(2_000),
    { flag: '--segment-target-ms', env: 'KAIRO_SEGMENT_TARGET_MS' },
    'Length of a segment. A segment ends at the first keyframe after it.',
  ),
  windowSegments: named(
    z.number().int().min(4).max(120).default(15),
    { flag: '--window-segments', env: 'KAIRO_WINDOW_SEGMENTS' },
    'Segments that a live playlist keeps.',
  ),
  endGraceMs: named(
    z.number().int().min(0).max(600_000).default(10_000),
    { flag: '--end-grace-ms', env: 'KAIRO_END_GRACE_MS' },
    'How long a stream waits for its publisher to come back before it ends. 0 ends it at once.',
  ),
  takeover: named(
    z.enum(['reject', 'replace']).default('reject'),
    { flag: '--takeover', env: 'KAIRO_TAKEOVER' },
    'What happens to a second publisher of a stream: `reject` it, or `replace` the first. A silent first one is replaced in both.',
  ),
  clientUrls: named(
    z.array(z.url({ protocol: /^https?$/ })).default([]),
    { flag: '--client-urls', env: 'KAIRO_CLIENT_URLS' },
    'Base URLs at which clients reach this peer, told to others in place of the addresses of this machine: behind a port forward, a proxy, or in a container.',
  ),
  adminHttp: named(
    z.union([z.literal('same'), address]).default('same'),
    { flag: '--admin-http', env: 'KAIRO_ADMIN_HTTP' },
    'Address of pages, API and metrics where they are not to stand on `http`; `kairo cdn` takes a free port of 127.0.0.1.',
  ),
  origin: named(
    z.union([z.literal(''), z.url({ protocol: /^https?$/ })]).default(''),
    { flag: '--origin', env: 'KAIRO_ORIGIN' },
    'Origin that this peer is a shared cache in front of, for every host and path that no other host rule takes; empty: none. Needs `adminHttp`.',
  ),
  peerHttps: named(
    z.union([z.literal('off'), address]).default('0.0.0.0:4443'),
    { flag: '--peer-https', env: 'KAIRO_PEER_HTTPS' },
    'Address at which other peers fetch objects by HTTPS, or `off`. When the default port is taken, a free one is used.',
  ),
  announceHttps: named(
    z.array(announcedAddress).max(4).default([]),
    { flag: '--announce-https', env: 'KAIRO_ANNOUNCE_HTTPS' },
    'Addresses of `peerHttps` told to other peers in place of the ones listened on, behind a port forward or by name; the first that answers is used.',
  ),
  region: named(
    z
      .string()
      .regex(/^[a-z0-9-]{0,32}$/, 'expected up to 32 of a-z, 0-9 and -')
      .default(''),
    { flag: '--region', env: 'KAIRO_REGION' },
    'Where this peer stands, in your own words: peers of one region share a tracker and shields, and are preferred by its clients.',
  ),
  regionPeers: named(
    z.array(z.string().min(1)).default(['network']),
    { flag: '--region-peers', env: 'KAIRO_REGION_PEERS' },
    "Peer ids that may become members of this peer's region and vote in its tracker; `network` lets every peer in.",
  ),
  regionPort: named(
    z.number().int().min(0).max(65_535).default(0),
    { flag: '--region-port', env: 'KAIRO_REGION_PORT' },
    'TCP port, on the interface of the first TCP address of `listen`, at which the trackers of other peers call this one directly, without the detour over `listen`; 0 takes a free one. Name it where a firewall opens ports one by one.',
  ),
  coordinationUrl: named(
    z
      .string()
      .regex(/^(etcds?:\/\/\S+)?$/, 'expected etcd://host:port or etcds://host:port')
      .default(''),
    { flag: '--coordination-url', env: 'KAIRO_COORDINATION_URL' },
    'An etcd (3.4 or newer) that coordinates the region in place of its own tracker: `etcd://[user:password@]host:port[,host:port]`, `etcds://` for TLS. Empty: the tracker.',
  ),
  location: named(
    z
      .string()
      .regex(/^(-?\d{1,2}(\.\d+)?,-?\d{1,3}(\.\d+)?)?$/, 'expected latitude,longitude')
      .refine(isOnEarth, { error: 'latitudes end at 90 degrees and longitudes at 180' })
      .default(''),
    { flag: '--location', env: 'KAIRO_LOCATION' },
    'Latitude and longitude of this peer in degrees, `52.52,13.40`; empty keeps it out of geographic choices.',
  ),
  uplinkBitsPerSecond: named(
    z.number().int().min(0).default(0),
    { flag: '--uplink-bits-per-second', env: 'KAIRO_UPLINK_BITS_PER_SECOND' },
    'What this peer may send; clients are led elsewhere before it is used up. 0: not known.',
  ),
  cdnPeers: named(
    z.array(z.string().min(1)).default([]),
    { flag: '--cdn-peers', env: 'KAIRO_CDN_PEERS' },
    'Peer ids whose cached copies of origins are believed, besides the peers named by `join`; `network` believes every peer, for networks of your own.',
  ),
  purgePeers: named(
    z.array(z.string().min(1)).default(['network']),
    { flag: '--purge-peers', env: 'KAIRO_PURGE_PEERS' },
    'Peer ids whose purges are carried out here; `network` takes those of every peer, within limits.',
  ),
  clientPeers: named(
    z.array(z.string().min(1)).default(['network']),
    { flag: '--client-peers', env: 'KAIRO_CLIENT_PEERS' },
    'Peers to which clients of this peer are sent, by DNS, redirects and API: every peer of the `network`, those `believed` (`join`, `cdnPeers`), or peer ids.',
  ),
  dns: named(
    z.union([z.literal('off'), address]).default('off'),
    { flag: '--dns', env: 'KAIRO_DNS' },
    'Address (UDP and TCP) of the DNS server that leads clients to the best peers, or `off`.',
  ),
  dnsZone: named(
    z
      .string()
      .regex(/^([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*)?$/)
      .default(''),
    { flag: '--dns-zone', env: 'KAIRO_DNS_ZONE' },
    'Name that the DNS server answers for, with everything below it: `cdn.example`.',
  ),
  geoDatabase: named(
    z.string().default(''),
    { flag: '--geo-database', env: 'KAIRO_GEO_DATABASE' },
    'MMDB file (GeoLite2-City or alike, yours to supply) that places clients by address; empty: round trips and regions alone.',
  ),
  ipfs: named(
    z.boolean().default(true),
    { flag: '--ipfs', env: 'KAIRO_IPFS' },
    'Serve stored objects under /ipfs/ and by bitswap.',
  ),
  relay: named(
    z.boolean().default(true),
    { flag: '--relay', env: 'KAIRO_RELAY' },
    'Carry the control traffic of peers that nobody can reach (circuit relay), within limits. Media never pass a relay.',
  ),
  trustedProxies: named(
    z.array(z.string().min(1)).default(['127.0.0.0/8', '::1/128']),
    { flag: '--trusted-proxies', env: 'KAIRO_TRUSTED_PROXIES' },
    'Networks whose connections are not counted against the limits of one address and whose X-Forwarded-For names the client.',
  ),
  requestsPerSecondMax: named(
    z.number().int().min(0).default(1_000),
    { flag: '--requests-per-second-max', env: 'KAIRO_REQUESTS_PER_SECOND_MAX' },
    'HTTP requests a second of one client address (four times that of its subnet); more get 429. 0: no limit.',
  ),
  connectionsPerAddressMax: named(
    z.number().int().min(0).default(1_000),
    { flag: '--connections-per-address-max', env: 'KAIRO_CONNECTIONS_PER_ADDRESS_MAX' },
    'HTTP connections of one client address (four times that of its subnet). 0: no limit.',
  ),
  replicaIdleMs: named(
    z.number().int().min(1_000).max(3_600_000).default(30_000),
    { flag: '--replica-idle-ms', env: 'KAIRO_REPLICA_IDLE_MS' },
    'How long this peer goes on following a stream of another peer after its last viewer asked for it.',
  ),
  memoryBytesMax: named(
    z
      .number()
      .int()
      .min(16 * MiB)
      .default(512 * MiB),
    { flag: '--memory-bytes-max', env: 'KAIRO_MEMORY_BYTES_MAX' },
    'RAM for cached objects.',
  ),
  diskBytesMax: named(
    z
      .number()
      .int()
      .min(0)
      .default(10 * GiB),
    { flag: '--disk-bytes-max', env: 'KAIRO_DISK_BYTES_MAX' },
    'Disk for cached objects, under the home folder. 0 keeps objects in RAM only.',
  ),
  diskFilesMax: named(
    z.number().int().min(1_000).default(1_000_000),
    { flag: '--disk-files-max', env: 'KAIRO_DISK_FILES_MAX' },
    'Files of cached objects on disk.',
  ),
  streamBytesMax: named(
    z.number().int().min(0).default(0),
    { flag: '--stream-bytes-max', env: 'KAIRO_STREAM_BYTES_MAX' },
    'Disk for cached objects of one stream. 0: as much as all have.',
  ),
  tenantBytesMax: named(
    z.number().int().min(0).default(0),
    { flag: '--tenant-bytes-max', env: 'KAIRO_TENANT_BYTES_MAX' },
    'Disk for cached objects of one tenant: a host rule, or all streams of one owner. 0: as much as all have.',
  ),
})

/** The effective settings of a peer. */
export type Settings = z.output<typeof settingsSchema>

/** A setting's name in the configuration file. */
export type SettingKey = keyof Settings

/** Every setting's name, in the order of the schema. */
export const settingKeys: readonly SettingKey[] = Object.keys(settingsSchema.shape) as SettingKey[]

const secretKeys: ReadonlySet<SettingKey> = new Set<SettingKey>([
  'srtPassphrase',
  'webhookSecret',
  'coordinationUrl',
])

/** A setting as people and pages are shown it: of a secret only whether there is one. */
export function shownSetting(settings: Settings, key: SettingKey): unknown {
  return secretKeys.has(key) && settings[key] !== '' ? '(set)' : settings[key]
}

/** Flag, environment variable and description of a setting. */
export function settingInfo(key: SettingKey): SettingNames & { readonly description: string } {
  const meta = settingsSchema.shape[key].meta() as unknown as SettingNames & {
    description: string
  }
  return { flag: meta.flag, env: meta.env, description: meta.description }
}

/** What kind of value a setting takes outside JSON: decides how flags and variables are read. */
export function settingKind(key: SettingKey): 'boolean' | 'number' | 'list' | 'text' {
  const inner: z.ZodType = settingsSchema.shape[key].unwrap() as z.ZodType
  if (inner instanceof z.ZodBoolean) return 'boolean'
  if (inner instanceof z.ZodNumber) return 'number'
  if (inner instanceof z.ZodArray) return 'list'
  return 'text'
}
