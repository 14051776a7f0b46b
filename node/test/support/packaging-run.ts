/**
 * Runs a packager over configurations and access units and keeps what it made, in the form the checker takes.
 */
import { Registry } from 'prom-client'
import type { Clock } from '../../src/clock.ts'
import { silentLogger } from '../../src/logger.ts'
import type {
  AccessUnit,
  AudioConfig,
  TrackConfig,
  VideoConfig,
} from '../../src/media/access-unit.ts'
import { PackagerMetrics } from '../../src/media/packager/packager-metrics.ts'
import type { PackagerRendition } from '../../src/media/packager/rendition-facts.ts'
import type { PackagedPart } from '../../src/media/packager/rendition-writer.ts'
import { Packager, type PackagerInit } from '../../src/media/packager.ts'
import {
  type CheckedRendition,
  type CheckOptions,
  checkRenditions,
  type Violation,
} from './cmaf-checker.ts'

/** A configuration or an access unit. */
export type PackagerInput = { readonly config?: TrackConfig; readonly unit?: AccessUnit }

/** A packager under test and what it made. */
export class PackagingRun {
  readonly packager: Packager
  readonly parts: PackagedPart[] = []
  readonly announcements: (readonly PackagerRendition[])[] = []
  readonly #registry = new Registry()
  wallMs = 1_700_000_000_000

  constructor(init: Partial<PackagerInit> = {}, logger = silentLogger) {
    const clock: Clock = {
      now: () => this.wallMs,
      monotonicMs: () => 0,
      after: () => () => {},
    }
    const metrics = new PackagerMetrics(this.#registry)
    this.packager = new Packager(
      { clock, logger, metrics },
      {
        partTargetMs: 200,
        segmentTargetMs: 2_000,
        firstMsn: 0,
        discontinuityAtStart: false,
        onRenditions: (renditions) => this.announcements.push(renditions),
        onPart: (part) => this.parts.push(part),
        ...init,
      },
    )
  }

  /** The newest announcement of a rendition. */
  rendition(name: string): PackagerRendition | undefined {
    return this.announcements.at(-1)?.find(({ info }) => info.name === name)
  }

  /** Feeds everything, one after the other, and does not end. */
  feed(items: Iterable<PackagerInput>): this {
    for (const { config, unit } of items) {
      if (config !== undefined) this.packager.configure(config)
      if (unit !== undefined) this.packager.write(unit)
    }
    return this
  }

  /** Ends the packager. */
  end(): this {
    this.packager.end()
    return this
  }

  of(rendition: string): readonly PackagedPart[] {
    return this.parts.filter((part) => part.rendition === rendition)
  }

  /** Init segment and all parts of a rendition as one file. */
  file(rendition: string): Buffer {
    const parts = this.of(rendition)
    return Buffer.concat([parts[0]?.init ?? Buffer.alloc(0), ...parts.map(({ data }) => data)])
  }

  /** What the checker finds. */
  check(options?: CheckOptions): readonly Violation[] {
    const renditions: CheckedRendition[] = []
    for (const name of ['source', 'audio']) {
      const parts = this.of(name)
      const announced = this.rendition(name)
      if (announced === undefined) continue
      const { partTargetUs, targetDurationS } = announced
      renditions.push({ name, parts, partTargetUs, targetDurationS })
    }
    return checkRenditions(renditions, options)
  }

  /** The value of `kairo_packager_events_total` for an event. */
  async events(event: string): Promise<number> {
    const metric = await this.#registry.getSingleMetric('kairo_packager_events_total')?.get()
    return metric?.values.find(({ labels }) => labels.event === event)?.value ?? 0
  }
}

/** A video configuration whose description is not read by anything but the checker. */
export function videoConfig(init: Partial<VideoConfig> = {}): VideoConfig {
  return {
    kind: 'video',
    codec: 'h264',
    codecString: 'avc1.64001f',
    width: 640,
    height: 360,
    frameRate: undefined,
    description: Uint8Array.of(1, 0x64, 0, 0x1f, 0xff, 0xe0, 0),
    ...init,
  }
}

/** AAC-LC, 48 kHz stereo unless told otherwise. */
export function audioConfig(init: Partial<AudioConfig> = {}): AudioConfig {
  return {
    kind: 'audio',
    codec: 'aac',
    codecString: 'mp4a.40.2',
    sampleRate: 48_000,
    channels: 2,
    samplesPerFrame: 1_024,
    description: Uint8Array.of(0x11, 0x90),
    ...init,
  }
}

/** A picture at `ms`, quantised as RTMP does: one NAL unit of a type that says whether it is an IDR. */
export function picture(ms: number, keyframe: boolean, compositionMs = 0, bytes = 40): AccessUnit {
  const data = Buffer.alloc(4 + bytes, 0xaa)
  data.writeUInt32BE(bytes, 0)
  data[4] = keyframe ? 0x65 : 0x41
  const dts = Math.round(ms) * 90
  return { kind: 'video', dts, pts: dts + compositionMs * 90, keyframe, data }
}

/** The same picture as an IDR, or as none. */
export function marked(unit: AccessUnit, keyframe: boolean): AccessUnit {
  return { ...picture(0, keyframe), dts: unit.dts, pts: unit.pts }
}

/** An audio frame at `ms`, quantised as RTMP does. */
export function sound(ms: number): AccessUnit {
  const dts = Math.round(ms) * 90
  return { kind: 'audio', dts, pts: dts, keyframe: true, data: Buffer.alloc(20, 0x21) }
}

/** Pictures at a constant rate from `fromMs` until before `toMs`, an IDR every `gopFrames`. */
export function pictures(
  rate: number,
  fromMs: number,
  toMs: number,
  gopFrames: number,
): readonly AccessUnit[] {
  const units: AccessUnit[] = []
  for (let index = 0; ; index++) {
    const ms = fromMs + (index * 1_000) / rate
    if (ms >= toMs) return units
    units.push(picture(ms, index % gopFrames === 0))
  }
}

/** Audio frames from `fromMs` until before `toMs`. */
export function sounds(
  fromMs: number,
  toMs: number,
  frameMs = (1_024 * 1_000) / 48_000,
): readonly AccessUnit[] {
  const units: AccessUnit[] = []
  for (let index = 0; ; index++) {
    const ms = fromMs + index * frameMs
    if (ms >= toMs) return units
    units.push(sound(ms))
  }
}

/** Units as a publisher interleaves them: by decoding time, each kind in its own order. */
export function interleave(
  ...tracks: readonly (readonly AccessUnit[])[]
): readonly PackagerInput[] {
  return tracks
    .flat()
    .toSorted((a, b) => a.dts - b.dts)
    .map((unit) => ({ unit }))
}
