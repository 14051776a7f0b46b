/** What the content store tells the operator. */
import { Counter, Gauge, type Registry } from 'prom-client'
import { type ObjectClass, objectClasses } from '../eviction/s3-fifo.ts'
import type { EvictionReason } from './disk-tier.ts'

/** The two tiers. */
export type Tier = 'memory' | 'disk'

/** What a tier holds, by class. */
export interface TierUsage {
  bytesOf(objectClass: ObjectClass): number
  sizeOf(objectClass: ObjectClass): number
}

/** What the metrics look at when they are collected. */
export interface StoreUsage {
  readonly tiers: Readonly<Partial<Record<Tier, TierUsage>>>
  /** Reads from RAM; they come with every request, so they are counted there and fetched by a scrape. */
  memoryHitsOf(objectClass: ObjectClass): number
  readonly owners: number
}

/** Metrics of one store. */
export class StoreMetrics {
  readonly skipped: Counter<'reason'>
  readonly corrupt: Counter
  readonly diskErrors: Counter<'code'>
  readonly degraded: Gauge
  readonly catalogRewrites: Counter
  readonly #reads: Counter<'tier' | 'class'>
  readonly #evictions: Counter<'tier' | 'class' | 'reason'>

  constructor(registry: Registry, usage: () => StoreUsage) {
    const registers = [registry]
    const collected = new Map<ObjectClass, number>()
    this.#reads = new Counter({
      name: 'kairo_content_reads_total',
      help: 'Objects asked for, by the tier that had them and their class there',
      labelNames: ['tier', 'class'],
      registers,
      collect() {
        for (const objectClass of objectClasses) {
          const hits = usage().memoryHitsOf(objectClass)
          const more = hits - (collected.get(objectClass) ?? 0)
          collected.set(objectClass, hits)
          if (more > 0) this.inc({ tier: 'memory', class: objectClass }, more)
        }
      },
    })
    this.#evictions = new Counter({
      name: 'kairo_content_evictions_total',
      help: 'Objects removed to make room (reason room), or because their tenant or stream had too much on disk',
      labelNames: ['tier', 'class', 'reason'],
      registers,
    })
    this.skipped = new Counter({
      name: 'kairo_content_disk_skipped_total',
      help: 'Objects kept in memory only, because the disk was failing (outage) or busy (queue), or their owner (quota) or class (room) had no room',
      labelNames: ['reason'],
      registers,
    })
    this.corrupt = new Counter({
      name: 'kairo_content_corrupt_total',
      help: 'Files of the disk cache that did not hold what their name says',
      registers,
    })
    this.diskErrors = new Counter({
      name: 'kairo_content_disk_errors_total',
      help: 'Failures of the disk cache to write, remove or open files, by system error code',
      labelNames: ['code'],
      registers,
    })
    this.degraded = new Gauge({
      name: 'kairo_content_disk_degraded',
      help: '1 while the disk cache cannot write',
      registers,
    })
    this.catalogRewrites = new Counter({
      name: 'kairo_content_catalog_rewrites_total',
      help: 'Times that the catalog of the disk cache was written anew',
      registers,
    })
    addUsage(registers, usage)
  }

  /** An object was read from elsewhere than RAM, or not found. */
  read(tier: 'disk' | 'archive' | 'none', objectClass: ObjectClass): void {
    this.#reads.inc({ tier, class: objectClass })
  }

  /** An object went to make room. */
  evicted(tier: Tier, objectClass: ObjectClass, reason: EvictionReason): void {
    this.#evictions.inc({ tier, class: objectClass, reason })
  }
}

function addUsage(registers: Registry[], usage: () => StoreUsage): void {
  new Gauge({
    name: 'kairo_content_stored_bytes',
    help: 'Bytes of objects held, by tier and class',
    labelNames: ['tier', 'class'],
    registers,
    collect() {
      for (const [tier, held] of Object.entries(usage().tiers)) {
        for (const name of objectClasses) this.set({ tier, class: name }, held.bytesOf(name))
      }
    },
  })
  new Gauge({
    name: 'kairo_content_stored_objects',
    help: 'Objects held, by tier and class',
    labelNames: ['tier', 'class'],
    registers,
    collect() {
      for (const [tier, held] of Object.entries(usage().tiers)) {
        for (const name of objectClasses) this.set({ tier, class: name }, held.sizeOf(name))
      }
    },
  })
  new Gauge({
    name: 'kairo_content_owners',
    help: 'Tenants and streams with objects on disk',
    registers,
    collect() {
      this.set(usage().owners)
    },
  })
}
