/** What a viewer may choose of a stream and has chosen, over as many hls.js instances as the player sees. */

import type Hls from 'hls.js'
import { Events, type HlsConfig } from 'hls.js'
import { readStored, writeStored } from '../shared/stored.ts'
import type { Captions } from './captions.ts'
import {
  autoId,
  type Choices,
  levelIndex,
  levelName,
  qualityChoices,
  renditionOf,
  soundChoices,
} from './choices.ts'

const qualityKey = 'kairo.quality'
const soundKey = 'kairo.sound'
const local = () => localStorage

/** The choices of one player; quality and sound are remembered for other streams. */
export class Selection {
  readonly #captions: Captions
  readonly #onChange: () => void
  #hls: Hls | undefined
  /** Renditions that the playlist named when it was loaded, also those that this browser cannot play. */
  #known: ReadonlySet<string> = new Set()

  /** `onChange` is called when there is something else to choose, or to read of what is chosen. */
  constructor(captions: Captions, onChange: () => void) {
    this.#captions = captions
    this.#onChange = onChange
  }

  /** Settings by which a new instance begins with what was chosen. */
  get settings(): Partial<HlsConfig> {
    const sound = readStored(local, soundKey)
    return sound === undefined ? {} : { audioPreference: { name: sound } }
  }

  /** Follows an hls.js instance from before it loads. */
  attach(hls: Hls): void {
    this.#hls = hls
    hls.on(Events.MANIFEST_LOADED, (_event, { levels, audioTracks, subtitles = [] }) => {
      const urls = [...levels, ...audioTracks, ...subtitles].map(({ url }) => url)
      this.#known = new Set(urls.map(renditionOf))
    })
    hls.on(Events.MANIFEST_PARSED, () => {
      const level = levelIndex(hls, readStored(local, qualityKey) ?? autoId)
      if (level >= 0) hls.nextLevel = level
    })
    for (const event of [
      Events.LEVEL_SWITCHED,
      Events.LEVELS_UPDATED,
      Events.AUDIO_TRACK_SWITCHED,
      Events.AUDIO_TRACKS_UPDATED,
      Events.SUBTITLE_TRACKS_UPDATED,
      Events.SUBTITLE_TRACK_SWITCH,
    ] as const) {
      hls.on(event, () => this.#onChange())
    }
  }

  /** Forgets the instance. */
  detach(): void {
    this.#hls = undefined
  }

  /** The menus of this moment. */
  get choices(): Choices {
    const hls = this.#hls
    if (hls === undefined) return { qualities: [], playing: '', sounds: [], captions: [] }
    const now = hls.levels[hls.currentLevel]
    return {
      qualities: qualityChoices(hls, readStored(local, qualityKey) ?? autoId),
      playing: now === undefined ? '' : levelName(now),
      sounds: soundChoices(hls),
      captions: this.#captions.choices,
    }
  }

  /** Plays a quality from the next picture on that can be decoded alone; `auto` lets the player choose. */
  chooseQuality(id: string): void {
    writeStored(local, qualityKey, id === autoId ? undefined : id)
    if (this.#hls !== undefined) this.#hls.nextLevel = levelIndex(this.#hls, id)
    this.#onChange()
  }

  /** Plays another sound track. */
  chooseSound(id: string): void {
    writeStored(local, soundKey, id)
    const index = this.#hls?.audioTracks.findIndex(({ name }) => name === id) ?? -1
    if (this.#hls !== undefined && index >= 0) this.#hls.audioTrack = index
    this.#onChange()
  }

  /** Whether the stream has renditions by now that the playlist did not name when it was loaded. */
  isOutdated(renditions: readonly string[]): boolean {
    return this.#known.size > 0 && renditions.some((name) => !this.#known.has(name))
  }
}
