/**
 * The layers of node/src as data: which room may import which, and which packages each may use. Imports go down the
 * house, never up; a room that needs a new line here is a change of the architecture and is argued in its commit.
 */

/** Files directly in node/src, by the layer they belong to. */
export const rootFiles: Readonly<Record<string, readonly string[]>> = {
  /** Leaves: they import nothing of Kairo but one another. */
  shared: [
    ...['errors.ts', 'limits.ts', 'clock.ts', 'logger.ts', 'version.ts'],
    ...['deadline.ts', 'home.ts', 'files.ts', 'secret-file.ts', 'json.ts', 'address-group.ts'],
    ...['failure-limiter.ts', 'urls.ts', 'backoff.ts'],
    ...['token-buckets.ts', 'circuit-breaker.ts'],
  ],
  /** The only files that know every room, with the folder `peer/`. */
  wiring: ['index.ts', 'peer.ts', 'components.ts'],
  cli: ['cli.ts'],
}

/** Rooms that a room may import besides itself, lowest first. A path names one file of a room. */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  protocol: ['shared'],
  config: ['shared'],
  metrics: ['shared'],
  auth: ['shared'],
  http: ['shared'],
  host: ['shared', 'config', 'protocol'],
  content: ['shared', 'protocol', 'host'],
  // What a rendition is, said once; media packages access units and knows no store, no network and no HTTP.
  media: ['shared', 'content/stream.ts', 'content/digest.ts'],
  ingest: ['shared', 'media', 'content'],
  // What is made of a publisher's session beside its packaging; each knows the session and not the others.
  transcode: ['shared', 'media'],
  restream: ['shared', 'media'],
  webhooks: ['shared', 'media'],
  recording: ['shared', 'content', 'media'],
  vod: ['shared', 'content', 'media'],
  delivery: ['shared', 'content', 'media', 'http'],
  // Which peer is best for whom: adverts, coordinates, load; and the DNS server that says so.
  nearest: ['shared', 'protocol', 'host'],
  dns: ['shared', 'nearest'],
  // The tracker of this peer's region: its lines to other peers, its life, its figures.
  coordination: ['shared', 'protocol', 'host'],
  // A shared cache in front of any origin; purges, which are kept in the log of the region too.
  cdn: ['shared', 'protocol', 'host', 'content', 'nearest', 'coordination', 'http'],
  ipfs: ['shared', 'protocol', 'host', 'content', 'http'],
  // Browsers that find one another through this peer.
  signalling: ['shared', 'http'],
  doctor: ['shared', 'config', 'host', 'content', 'media', 'nearest', 'coordination'],
  // The API fronts every domain, and is handed them as the one object that the wiring builds.
  api: [
    ...['shared', 'config', 'metrics', 'auth', 'http', 'host', 'content', 'media', 'ingest'],
    ...['transcode', 'restream', 'webhooks', 'recording', 'vod'],
    ...['nearest', 'dns', 'cdn', 'ipfs', 'delivery', 'doctor', 'coordination', 'components.ts'],
  ],
  wiring: [
    ...[
      'shared',
      'config',
      'metrics',
      'auth',
      'protocol',
      'http',
      'host',
      'content',
      'media',
      'ingest',
      'delivery',
    ],
    ...['transcode', 'restream', 'webhooks', 'recording', 'vod'],
    ...['nearest', 'dns', 'cdn', 'ipfs', 'signalling', 'doctor', 'coordination', 'api'],
  ],
  cli: [
    'shared',
    'config',
    'metrics',
    'auth',
    'http',
    'host',
    'content',
    'media',
    'ingest',
    'cdn',
    'doctor',
    // The tar that `kairo ipfs` packs folders in.
    'ipfs',
    'api',
    'wiring',
  ],
}

/** Packages with weight of their own, and the rooms that may touch them. Others are free. */
export const packageRooms: Readonly<Record<string, readonly string[]>> = {
  libp2p: ['host'],
  '@libp2p/': ['host'],
  '@multiformats/multiaddr': ['host', 'config'],
  'datastore-level': ['host'],
  level: ['content', 'host'],
  multiformats: ['content', 'host', 'ipfs'],
  '@helia/': ['ipfs'],
  aws4fetch: ['cdn'],
  // The wire between pages and edges is the client library's; it names it once for both.
  '@kairo/client': ['signalling'],
  '@kairo/': ['coordination', 'api', 'doctor', 'wiring'],
  'dns-packet': ['dns'],
  maxmind: ['nearest'],
  '@peculiar/x509': ['host'],
  '@bufbuild/protobuf': ['protocol', 'content', 'host', 'nearest', 'cdn'],
  fastify: ['http', 'api'],
  'node-av': ['media', 'ingest', 'doctor'],
  '@tus/': ['vod'],
  chokidar: ['vod'],
  ws: ['signalling'],
  'pino-pretty': ['cli'],
  pino: ['cli'],
}

/** Public names of the services: they name a surface, never a mechanism. */
export const mythicNames = [
  ...['athena', 'hermes', 'morpheus', 'daedalus', 'prometheusnet', 'delphi', 'elysium'],
  ...['arcadia', 'olympus'],
]

/** The room of a file of node/src, given its path there; undefined when the house has no place for it. */
export function roomOf(path: string): string | undefined {
  const [first, ...rest] = path.split('/') as [string, ...string[]]
  if (rest.length > 0 && first === 'peer') return 'wiring'
  if (rest.length > 0 && first === 'limits') return 'shared'
  if (rest.length > 0) return first in mayImport ? first : undefined
  return Object.entries(rootFiles).find(([, files]) => files.includes(first))?.[0]
}

/** True when a file of `room` may import the file at `path` of `target`. */
export function allowsImport(room: string, target: string, path: string): boolean {
  const allowed = mayImport[room] ?? []
  return room === target || allowed.includes(target) || allowed.includes(path)
}

/** Rooms that may use a package; undefined when all may. */
export function roomsOfPackage(name: string): readonly string[] | undefined {
  const entry = Object.entries(packageRooms).find(([key]) =>
    key.endsWith('/') ? name.startsWith(key) : name === key,
  )
  return entry?.[1]
}
