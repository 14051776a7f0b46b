/** How a video of the library is doing, for pages, the API and the command line. */
import type { AssetState } from '../content/archive/asset-manifest.ts'

/** Where the making of a video stands. */
export interface VodProgress {
  /** Share of the work that is done, 0 to 1. */
  readonly share: number
  /** Media seconds made a second; undefined until it is known. */
  readonly speed: number | undefined
  /** Milliseconds that are left, as far as one can tell. */
  readonly etaMs: number | undefined
}

/** One video of the library, whatever its state. */
export interface VodStatus extends VodProgress {
  readonly id: string
  readonly title: string
  readonly state: AssetState
  readonly origin: 'upload' | 'recording'
  /** Why it failed; undefined unless it has. */
  readonly error: { readonly code: string; readonly message: string } | undefined
  /** Wall milliseconds. */
  readonly createdAtMs: number
  /** 0 until it is known. */
  readonly durationUs: number
  /** Bytes of its folder. */
  readonly bytes: number
  /** Names of its renditions, once ready. */
  readonly renditions: readonly string[]
}
