/** Metrics of lists of videos, and of videos of other peers that are played here. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** What the gauges read when they are scraped. */
export interface VideoFigures {
  readonly owners: number
  readonly videos: number
  readonly bytes: number
  readonly own: number
}

/** Counters and gauges of a directory of videos. */
export class VideoDirectoryMetrics {
  readonly heard: Counter<'outcome'>
  readonly loads: Counter<'outcome'>
  readonly announcements: Counter<'outcome'>
  readonly leftOut: Counter<'code'>

  constructor(registry: Registry, figures: () => VideoFigures) {
    const registers = [registry]
    const gauges: readonly [keyof VideoFigures, string, string][] = [
      ['owners', 'kairo_videos_owners', 'Other peers whose lists of videos are known'],
      ['videos', 'kairo_videos_known', 'Videos of other peers that are known'],
      ['bytes', 'kairo_videos_list_bytes', 'Bytes of the lists of other peers'],
      ['own', 'kairo_videos_own', 'Own videos that other peers are told of'],
    ]
    for (const [figure, name, help] of gauges) {
      new Gauge({
        ...{ name, help, registers },
        collect() {
          this.set(figures()[figure])
        },
      })
    }
    this.heard = new Counter({
      name: 'kairo_videos_heard_total',
      help: 'Lists of videos that came from other peers, by what became of them',
      labelNames: ['outcome'],
      registers,
    })
    this.loads = new Counter({
      name: 'kairo_videos_loads_total',
      help: 'Lists of videos whose pages were fetched, by error code or ok',
      labelNames: ['outcome'],
      registers,
    })
    this.announcements = new Counter({
      name: 'kairo_videos_announcements_total',
      help: 'Announcements of the own list of videos',
      labelNames: ['outcome'],
      registers,
    })
    this.leftOut = new Counter({
      name: 'kairo_videos_left_out_total',
      help: 'Times that an own video was left out of the list, by error code',
      labelNames: ['code'],
      registers,
    })
  }
}

/** Counters and gauges of videos of other peers. */
export class NetworkVideoMetrics {
  readonly opens: Counter<'outcome'>
  readonly fetches: Counter<'outcome'>
  readonly dropped: Counter

  constructor(
    registry: Registry,
    figures: () => { readonly open: number; readonly segments: number },
  ) {
    const registers = [registry]
    new Gauge({
      ...{ name: 'kairo_videos_open', help: 'Videos of other peers that can be played here now' },
      registers,
      collect() {
        this.set(figures().open)
      },
    })
    new Gauge({
      ...{ name: 'kairo_videos_open_segments', help: 'Segments of these videos', registers },
      collect() {
        this.set(figures().segments)
      },
    })
    this.opens = new Counter({
      name: 'kairo_videos_opens_total',
      help: 'Videos of other peers whose segments were asked for, by error code or ok',
      labelNames: ['outcome'],
      registers,
    })
    this.fetches = new Counter({
      name: 'kairo_videos_fetches_total',
      help: 'Objects of videos of other peers that were fetched, by error code or ok',
      labelNames: ['outcome'],
      registers,
    })
    this.dropped = new Counter({
      name: 'kairo_videos_dropped_objects_total',
      help: 'Copies of objects let go because their video was removed by its owner',
      registers,
    })
  }
}
