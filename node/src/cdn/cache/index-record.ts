/** Lines of the index's journal: JSON, one change each. What does not fit its shape is skipped, never guessed at. */
import { z } from 'zod'
import type { Digest } from '../../content/digest.ts'
import { parseJson } from '../../json.ts'
import { type PurgeMode, type PurgeSelector, purgeSelectorSchema } from '../purge-selector.ts'
import type { CacheEntry, EntryInit } from './entry.ts'

const fields = z.record(z.string(), z.string())
const digest = z.string().regex(/^[0-9a-f]{64}$/)

const putRecord = z.object({
  t: z.literal('put'),
  key: z.string(),
  rule: z.string(),
  host: z.string(),
  status: z.number().int(),
  headers: fields,
  requestTimeMs: z.number(),
  responseTimeMs: z.number(),
  purgedMs: z.number().optional(),
  varyFields: fields,
  tags: z.array(z.string()),
  rangeable: z.boolean(),
  complete: z.boolean(),
  length: z.number().int().min(0),
  sliceBytes: z.number().int().min(1),
  slices: z.array(digest.nullable()),
})

const identity = { key: z.string(), variant: z.string() }

const indexRecord = z.discriminatedUnion('t', [
  putRecord,
  z.object({ t: z.literal('delete'), ...identity }),
  z.object({ t: z.literal('slice'), ...identity, index: z.number().int().min(0), digest }),
  z.object({
    t: z.literal('purge'),
    selector: purgeSelectorSchema,
    mode: z.enum(['hard', 'soft']),
    atMs: z.number(),
  }),
  /** Begins the journal of one run: which start of the machine it was written under. */
  z.object({ t: z.literal('open'), boot: z.string() }),
  /** All purges of the network's log up to this one, by its number here, have been carried out. */
  z.object({ t: z.literal('caught-up'), generation: z.number().int().min(0) }),
  /** Ends it in order. */
  z.object({ t: z.literal('close') }),
])

/** One change of the index. */
export type IndexRecord = z.output<typeof indexRecord>

/** The record of a line; undefined for a torn or foreign one. */
export function readRecord(line: string): IndexRecord | undefined {
  return indexRecord.safeParse(parseJson(line)).data
}

/** A whole response as a line; undefined while its length is not known. */
export function putLine(entry: CacheEntry): string | undefined {
  const { body, head } = entry
  if (body === undefined) return undefined
  return lineOf({
    t: 'put',
    key: entry.key,
    rule: entry.rule,
    host: entry.host,
    status: head.status,
    headers: head.headers,
    requestTimeMs: head.requestTimeMs,
    responseTimeMs: head.responseTimeMs,
    ...(head.purgedMs !== undefined && { purgedMs: head.purgedMs }),
    varyFields: head.varyFields,
    tags: [...entry.tags],
    rangeable: entry.rangeable,
    complete: head.complete,
    length: body.length,
    sliceBytes: body.sliceBytes,
    slices: body.slices.map((slice) => slice ?? null),
  })
}

/** The entry that a `put` record tells of. */
export function entryOf(record: z.output<typeof putRecord>): EntryInit {
  const { key, rule, host, tags, rangeable, length, sliceBytes } = record
  const slices = record.slices.map((slice) => slice ?? undefined)
  return {
    ...{ key, rule, host, tags, rangeable },
    head: {
      status: record.status,
      headers: record.headers,
      requestTimeMs: record.requestTimeMs,
      responseTimeMs: record.responseTimeMs,
      ...(record.purgedMs !== undefined && { purgedMs: record.purgedMs }),
      varyFields: record.varyFields,
      method: 'GET',
      complete: record.complete,
    },
    body: { length, sliceBytes, slices },
  }
}

/** A removal as a line. */
export function deleteLine(entry: CacheEntry): string {
  return lineOf({ t: 'delete', key: entry.key, variant: entry.variant })
}

/** A slice that came by itself as a line. */
export function sliceLine(entry: CacheEntry, index: number, name: Digest): string {
  return lineOf({ t: 'slice', key: entry.key, variant: entry.variant, index, digest: name })
}

/** A purge as a line. */
export function purgeLine(selector: PurgeSelector, mode: PurgeMode, atMs: number): string {
  return lineOf({ t: 'purge', selector, mode, atMs })
}

/** A record as a line, with its end. */
export function lineOf(record: IndexRecord): string {
  return `${JSON.stringify(record)}\n`
}
