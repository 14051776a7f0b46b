/** What the tests of the suite share. */
import type { Test } from 'tap'
import type { Keyspace, KeyValue, TransactionResult, WatchBatch } from '../../src/coordination.ts'
import { TrackerError, type TrackerErrorCode } from '../../src/errors.ts'

const utf8 = new TextEncoder()

/** Text as the bytes of a value. */
export function bytes(text: string): Uint8Array {
  return utf8.encode(text)
}

/** The value of a key as text. */
export function textOf(item: KeyValue | undefined): string | undefined {
  return item && Buffer.from(item.value).toString()
}

/** Puts a key and gives what came of it. */
export async function put(
  keyspace: Keyspace,
  key: string,
  value: string,
  leaseId?: string,
): Promise<TransactionResult> {
  const lease = leaseId === undefined ? {} : { leaseId }
  return keyspace.transact({ then: [{ type: 'put', key, value: bytes(value), ...lease }] })
}

/** Deletes a key and gives what came of it. */
export async function remove(keyspace: Keyspace, key: string): Promise<TransactionResult> {
  return keyspace.transact({ then: [{ type: 'delete', key }] })
}

/** Awaits an error of the tracker with one of the given codes. */
export async function rejects(
  t: Test,
  promise: Promise<unknown>,
  codes: TrackerErrorCode | readonly TrackerErrorCode[],
  message: string,
): Promise<void> {
  try {
    await promise
  } catch (error) {
    if (!(error instanceof TrackerError)) throw error
    t.ok([codes].flat().includes(error.code), `${message}: ${error.code} (${error.message})`)
    return
  }
  t.fail(`${message}: there was no error`)
}

/** One change in a few words: `r5 a=1` or `r5 -a`, without the revision when `names` is asked for. */
export function describeBatch(batch: WatchBatch): string {
  const events = batch.events.map((event) =>
    event.type === 'put' ? `${event.item.key}=${textOf(event.item)}` : `-${event.key}`,
  )
  return events.join(' ')
}

/** Reads batches of a watch until enough changes came, then ends it. */
export async function takeEvents(
  watch: AsyncIterable<WatchBatch>,
  count: number,
): Promise<WatchBatch[]> {
  const batches: WatchBatch[] = []
  let seen = 0
  if (count === 0) return batches
  for await (const batch of watch) {
    batches.push(batch)
    seen += batch.events.length
    if (seen >= count) break
  }
  return batches
}

/** All keys under a prefix, page by page. */
export async function listAll(
  keyspace: Keyspace,
  prefix: string,
  limit: number,
): Promise<{ items: KeyValue[]; pages: number }> {
  const items: KeyValue[] = []
  let pages = 0
  for (;;) {
    const last = items.at(-1)
    const after = last === undefined ? {} : { after: last.key }
    const page = await keyspace.list(prefix, { limit, ...after })
    pages += 1
    items.push(...page.items)
    if (!page.more) return { items, pages }
  }
}
