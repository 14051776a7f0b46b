/** What an imagined peer answers of its store and of the URLs that it reads beforehand, rich enough to show those parts of the admin page. */

const cid = (mark: string) => `bafkrei${mark.repeat(52)}`

/** The store, kept objects, IPFS trees and ordered URLs; an API's part of a list is all of it. */
export function storageAnswers() {
  return {
    store: {
      ...{ status: 'degraded', reason: 'the disk cache cannot write: ENOSPC' },
      ...{ memoryBytes: 48_300_000, diskBytes: 1_288_490_188, keptObjects: 3 },
    },
    kept: {
      total: 3,
      objects: [
        { cid: cid('a'), bytes: 262_144, by: ['operator'] },
        { cid: cid('b'), bytes: null, by: ['operator', 'ipfs'] },
        { cid: cid('c'), bytes: 12, by: ['ipfs'] },
      ],
    },
    pins: {
      total: 14,
      pins: [
        {
          ...{ cid: `bafybei${'d'.repeat(52)}`, name: '<b>photos</b>', blocks: 34 },
          ...{ bytes: 8_912_896, created: '2026-01-02T03:04:05.000Z' },
        },
      ],
    },
    fills: {
      ...{ waiting: 1, done: 1, failed: 1 },
      fills: [
        fakeFill('late.mp4', { between: '01:00-06:00' }),
        fakeFill(`${'long-'.repeat(30)}.mp4`, { state: 'done', attempts: 0, bytes: 12_582_912 }),
        fakeFill('gone', { state: 'failed', attempts: 3, problem: 'the answer was 404' }),
      ],
    },
  }
}

function fakeFill(name: string, more: Record<string, unknown>) {
  const url = `https://shop.example/${name}`
  return { url, between: '', state: 'waiting', attempts: 0, bytes: 0, problem: '', ...more }
}

/** The store's part of `/metrics`. */
export const storeMetrics = [
  ['stored_bytes', 'memory', 'live', 12_000_000],
  ['stored_bytes', 'memory', 'loose', 36_300_000],
  ['stored_bytes', 'disk', 'kept', 262_144],
  ['stored_bytes', 'disk', 'live', 300_000_000],
  ['stored_bytes', 'disk', 'loose', 988_228_044],
  ['stored_objects', 'disk', 'kept', 2],
  ['stored_objects', 'disk', 'live', 1_204],
  ['stored_objects', 'disk', 'loose', 3_870],
]
  .map(
    ([name, tier, held, value]) => `kairo_content_${name}{tier="${tier}",class="${held}"} ${value}`,
  )
  .concat('kairo_content_evictions_total{tier="disk",class="loose",reason="tenant"} 17', '')
  .join('\n')
