/** What an operator says of a site that Kairo caches: which requests are meant, where they come from, how they are kept. */
import { z } from 'zod'

const httpOrigin = z.strictObject({
  type: z.literal('http'),
  /** Base URL; the request's target is put behind its path. */
  url: z.url({ protocol: /^https?$/ }),
  /** `Host` for the origin; default: the base URL's. `client` passes the client's on. */
  host: z.string().max(255).optional(),
})

const folderOrigin = z.strictObject({
  type: z.literal('folder'),
  /** Absolute path on the peer's machine. */
  path: z.string().min(1).max(4_096),
})

const s3Origin = z.strictObject({
  type: z.literal('s3'),
  /** `https://s3.eu-central-1.amazonaws.com`. */
  endpoint: z.url({ protocol: /^https?$/ }),
  region: z.string().min(1).max(64).default('us-east-1'),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,62}$/),
  /** Put before the request's path. */
  prefix: z.string().max(1_024).default(''),
  accessKeyId: z.string().max(128).default(''),
  /** Never shown again. */
  secretAccessKey: z.string().max(256).default(''),
})

/** Where a site's responses come from. */
const originSchema = z.discriminatedUnion('type', [httpOrigin, folderOrigin, s3Origin])

const hostPattern =
  /^(\*|(\*\.)?[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?(?::\d{1,5})?|\[[0-9a-f:]+\](?::\d{1,5})?)$/

/** One host rule. */
export const hostRuleSchema = z.strictObject({
  /** For people, metrics and quotas. */
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/),
  /** Names that the rule is for: `cdn.example`, `*.example`, or `*` for every host. */
  hosts: z.array(z.string().regex(hostPattern)).min(1).max(64),
  /** Only paths that begin with it. */
  pathPrefix: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/)
    .max(1_024)
    .default('/'),
  origin: originSchema,
  /** Freshness of a response that says nothing of it and may be kept; 0 asks the heuristic of RFC 9111 4.2.2. */
  defaultTtlS: z.number().int().min(0).max(31_536_000).default(0),
  /** Freshness of 404, 405, 410, 414 and 501 that say nothing of it. */
  negativeTtlS: z.number().int().min(0).max(86_400).default(10),
  /** stale-while-revalidate and stale-if-error of responses that say nothing of them (RFC 5861). */
  staleWhileRevalidateS: z.number().int().min(0).max(2_592_000).default(0),
  staleIfErrorS: z.number().int().min(0).max(2_592_000).default(0),
  /** `ignore` drops the query from the cache key; `sort` orders its parameters; `keep` takes it as sent. */
  query: z.enum(['keep', 'sort', 'ignore']).default('keep'),
  /** Larger responses are fetched and kept in slices of this size, where the origin serves ranges. */
  sliceBytes: z.number().int().min(65_536).max(16_777_216).default(1_048_576),
  /** Compress text for clients that take it. */
  compress: z.boolean().default(true),
  /** Bytes of cached bodies; 0 leaves the bound to the store. */
  bytesMax: z.number().int().min(0).default(0),
})

/** One host rule. */
export type HostRule = z.output<typeof hostRuleSchema>

/** Where a site's responses come from. */
export type OriginConfig = z.output<typeof originSchema>
