/** Answers from what is stored: looked for in memory first, read from the store or from a body that is being fetched otherwise. */
import type { PreparedResponse } from '../../http/prepared-response.ts'
import type { CacheIndex } from '../cache/cache-index.ts'
import type { CacheEntry } from '../cache/entry.ts'
import type { Fields, StoredHead } from '../message.ts'
import type { CacheStatus } from '../rules/cache-status.ts'
import { freshnessOf } from '../rules/freshness.ts'
import type { Answers } from './answers.ts'
import type { Asked } from './asked.ts'
import type { BodyReader } from './body-reader.ts'
import type { Compressor } from './compressor.ts'

/** What they are made with. */
export interface StoredAnswersComponents {
  readonly clock: { now(): number }
  readonly index: CacheIndex
  readonly bodies: BodyReader
  readonly answers: Answers
  readonly compressor: Compressor
}

/** A stored response that a decision has selected. */
export interface Found {
  readonly stored: StoredHead
  readonly ageS: number
}

/** Makes answers of stored responses. */
export class StoredAnswers {
  readonly #components: StoredAnswersComponents

  constructor(components: StoredAnswersComponents) {
    this.#components = components
  }

  /** The entry whose head this is; undefined when it is gone by now. */
  entryOf(key: string, stored: StoredHead): CacheEntry | undefined {
    return this.#components.index.get(key).find(({ head }) => head === stored)
  }

  /** The answer, when all of it is in memory. */
  peek(
    { site, exchange, key }: Asked,
    found: Found,
    status: CacheStatus,
  ): PreparedResponse | undefined {
    const { answers, compressor, clock } = this.#components
    const entry = this.entryOf(key, found.stored)
    if (entry === undefined) return undefined
    entry.used = true
    const toPeer = exchange.fromPeer
    // A peer gets the bytes as they are stored, and compresses them for its own clients.
    const encoded = toPeer ? undefined : compressor.find(site, entry, exchange.request)
    const variesByEncoding = !toPeer && compressor.varies(site, entry)
    const story = {
      ...{ nowMs: clock.now(), cacheStatus: status, ageS: found.ageS, variesByEncoding, toPeer },
    }
    return answers.peek(entry, exchange.request, story, encoded)
  }

  /** Serves what is stored; undefined when its bytes turn out to be gone. */
  async serve(
    asked: Asked,
    found: Found,
    status: CacheStatus,
  ): Promise<PreparedResponse | undefined> {
    const entry = this.entryOf(asked.key, found.stored)
    if (entry === undefined) return undefined
    return this.peek(asked, found, status) ?? (await this.read(asked, entry, status))
  }

  /** Reads a stored response, `unshared` fields added for the client whose request brought it; undefined when it is not servable after all, and is forgotten. */
  async read(
    { site, exchange }: Asked,
    entry: CacheEntry,
    status: CacheStatus,
    unshared?: Fields,
  ): Promise<PreparedResponse | undefined> {
    const { answers, bodies, clock, compressor, index } = this.#components
    if (!bodies.isServable(entry)) {
      index.remove(entry)
      return undefined
    }
    const nowMs = clock.now()
    const { ageS, ttlS } = freshnessOf(entry.head, nowMs, site.rule)
    const toPeer = exchange.fromPeer
    const isNew = status.stored === true || status.fwdStatus === 304
    const isFirst = status.stored === true && status.collapsed !== true
    const cacheStatus = isNew ? { ...status, ttlS } : status
    const story = {
      ...{ nowMs, cacheStatus, toPeer, unshared },
      // What an origin says of the age of its own answer goes on as it is; here it has just come (RFC 9111 5.1).
      ...(!(isFirst && Object.hasOwn(entry.head.headers, 'age')) && { ageS }),
      variesByEncoding: !toPeer && compressor.varies(site, entry),
    }
    const context = { site, exchange, signal: exchange.signal }
    const { generation } = index
    try {
      const answer = await answers.read(entry, exchange.request, story, context)
      // Purged while its bytes were looked for: an answer that has not begun must not begin with it.
      if (index.generation !== generation && !entry.alive) return undefined
      // Whose request it was does not wait until it is compressed for all: the bytes are encoded on their way.
      return isFirst && !toPeer
        ? compressor.onTheWay(site, entry, exchange.request, answer)
        : answer
    } catch (error) {
      // It was forgotten because it changed or because its bytes are gone: then there is another way.
      if (exchange.signal.aborted || entry.alive) throw error
      return undefined
    }
  }
}
