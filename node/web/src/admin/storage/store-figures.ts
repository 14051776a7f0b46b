/** What the content store holds and what it let go, out of the metrics. */

import { bytes, count } from '../../shared/format.ts'
import { type Sample, samplesOf } from '../../shared/metrics-text.ts'

/** Where objects are. */
export type Tier = 'memory' | 'disk'
/** How an object stands: those of the last class go first. */
export type ObjectClass = 'kept' | 'live' | 'loose'

/** All tiers, as they are shown. */
export const tiers: readonly Tier[] = ['memory', 'disk']
/** All classes, as they are shown. */
export const objectClasses: readonly ObjectClass[] = ['kept', 'live', 'loose']

/** Objects of one class in one tier. */
export interface ClassFigures {
  readonly bytes: number
  readonly objects: number
  /** Removed to make room since the peer started. */
  readonly evicted: number
}

/** The store by tier and class. */
export interface StoreFigures {
  of(tier: Tier, objectClass: ObjectClass): ClassFigures
  /** Objects that went from disk because their tenant or stream was over its bound. */
  readonly overBound: number
}

/** Reads the text of `/metrics`. */
export function readStoreFigures(text: string): StoreFigures {
  const held = samplesOf(text, 'kairo_content_stored_bytes')
  const objects = samplesOf(text, 'kairo_content_stored_objects')
  const evictions = samplesOf(text, 'kairo_content_evictions_total')
  const sum = (samples: readonly Sample[], labels: Readonly<Record<string, string>>) =>
    samples
      .filter((sample) =>
        Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
      )
      .reduce((total, { value }) => total + value, 0)
  return {
    of: (tier, objectClass) => {
      const labels = { tier, class: objectClass }
      return {
        bytes: sum(held, labels),
        objects: sum(objects, labels),
        evicted: sum(evictions, labels),
      }
    },
    overBound:
      sum(evictions, { tier: 'disk', reason: 'tenant' }) +
      sum(evictions, { tier: 'disk', reason: 'stream' }),
  }
}

/** `1.2 GiB of 10.0 GiB, 12 %`. */
export function describeUse(used: number, max: number): string {
  return `${bytes(used)} of ${bytes(max)}, ${Math.round(shareOf(used, max) * 100)} %`
}

/** The part of `max` that is used, 0 to 1. */
export function shareOf(used: number, max: number): number {
  return max <= 0 ? 0 : Math.min(1, used / max)
}

/** `34 objects`, with those that were removed. */
export function describeObjects({ objects, evicted }: ClassFigures): string {
  return `${count(objects, 'object')}${evicted === 0 ? '' : `, ${evicted} removed`}`
}
