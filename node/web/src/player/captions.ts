/**
 * Captions of a stream: which of them the viewer wants, and their cues. hls.js reads them and the page draws them, not the
 * browser: so they keep clear of the controls, look alike everywhere, and need no track with a `data:` address, which the
 * content policy forbids.
 */

import type Hls from 'hls.js'
import { type CuesParsedData, Events } from 'hls.js'
import { readStored, writeStored } from '../shared/stored.ts'
import { type Choice, captionChoices, closedCaptionsId, subtitleId } from './choices.ts'
import { CueList } from './cue-list.ts'

const storageKey = 'kairo.captions'
const local = () => localStorage

/** The captions of one player, over as many hls.js instances as it sees. */
export class Captions {
  #hls: Hls | undefined
  /** Labels of captions in the pictures, as the playlist declares them. */
  #closed: readonly string[] = []
  #cues = new Map<string, CueList<VTTCue>>()
  #wanted = readStored(local, storageKey)
  /** Asked for while there were none: the first that come are turned on. */
  #awaited = false

  /** Follows an hls.js instance from before it loads. */
  attach(hls: Hls): void {
    this.detach()
    this.#hls = hls
    hls.on(Events.MANIFEST_LOADED, (_event, { captions }) => {
      this.#closed = (captions ?? []).map(({ name }) => name)
    })
    hls.on(Events.SUBTITLE_TRACKS_UPDATED, () => this.#arrived())
    hls.on(Events.CUES_PARSED, (_event, data) => this.#take(data))
  }

  /** Forgets the instance and its cues. */
  detach(): void {
    this.#hls = undefined
    this.#closed = []
    this.#cues = new Map()
  }

  /** What there is to choose. */
  get choices(): readonly Choice[] {
    return captionChoices(this.#hls?.subtitleTracks ?? [], this.#closed, this.#wanted)
  }

  /** Turns captions on by their id, or off with undefined, and remembers it for other streams. */
  choose(id: string | undefined): void {
    this.#wanted = id
    writeStored(local, storageKey, id)
    this.#apply()
  }

  /** Turns captions off, or on: the first there are. Returns what is on now, undefined for none. */
  toggle(): Choice | undefined {
    const { choices } = this
    if (choices.length === 0) {
      this.#awaited = !this.#awaited
      return undefined
    }
    const next = choices.some(({ selected }) => selected) ? undefined : choices[0]
    this.choose(next?.id)
    return next
  }

  /** The cues that are due at a time of the video element, in seconds. */
  at(timeS: number): readonly VTTCue[] {
    const wanted = this.#wanted
    return wanted === undefined ? [] : (this.#cues.get(wanted)?.at(timeS) ?? [])
  }

  #arrived(): void {
    const [first] = this.choices
    if (!this.#awaited || first === undefined) {
      this.#apply()
      return
    }
    this.#awaited = false
    this.choose(first.id)
  }

  #apply(): void {
    const hls = this.#hls
    if (hls === undefined) return
    const index = hls.subtitleTracks.findIndex((track) => subtitleId(track) === this.#wanted)
    if (hls.subtitleTrack !== index) hls.subtitleTrack = index
  }

  #take({ type, cues, subtitleTrack, closedCaptions }: CuesParsedData): void {
    let id: string | undefined
    if (type === 'subtitles' && subtitleTrack !== undefined) id = subtitleId(subtitleTrack)
    if (type === 'captions' && closedCaptions !== undefined) {
      id = closedCaptionsId(closedCaptions.name)
    }
    if (id === undefined) return
    const list = this.#cues.get(id) ?? new CueList<VTTCue>()
    this.#cues.set(id, list)
    list.add(cues as VTTCue[])
  }
}
