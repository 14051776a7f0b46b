/**
 * What a publisher says of a stream, for tests.
 */
import type { OwnRecord } from '../../src/content/records/directory.ts'

/** A plain live stream with video and audio. */
export function recordFields(changes: Partial<OwnRecord> = {}): OwnRecord {
  return {
    alias: 'test',
    title: 'A test',
    state: 'live',
    startedAtMs: 1_699_999_999_000,
    renditions: [
      {
        name: 'source',
        kind: 'video',
        codecs: 'avc1.64001f,mp4a.40.2',
        bandwidthBps: 3_000_000,
        width: 1280,
        height: 720,
        frameRate: 30,
        channels: 0,
      },
      {
        name: 'audio',
        kind: 'audio',
        codecs: 'mp4a.40.2',
        bandwidthBps: 128_000,
        width: 0,
        height: 0,
        frameRate: 0,
        channels: 2,
      },
    ],
    ...changes,
  }
}
