/** The part of m3u8-parser's API that tests use; the package carries no types. */
declare module 'm3u8-parser' {
  interface PartManifest {
    readonly uri: string
    readonly duration: number
  }

  interface SegmentManifest {
    readonly uri: string
    readonly duration: number
    readonly parts?: readonly PartManifest[]
  }

  interface Manifest {
    readonly targetDuration: number
    readonly partTargetDuration: number
    readonly mediaSequence: number
    readonly endList?: boolean
    readonly segments: readonly SegmentManifest[]
    readonly preloadSegment: {
      readonly parts: readonly PartManifest[]
      readonly preloadHints: readonly { readonly uri: string; readonly type: string }[]
    }
    readonly renditionReports: readonly { readonly lastMsn: number; readonly lastPart: number }[]
    readonly serverControl: { readonly canBlockReload: boolean }
    readonly skip: { readonly skippedSegments: number }
    readonly playlists: readonly {
      readonly uri: string
      readonly attributes: Readonly<Record<string, unknown>>
    }[]
    readonly mediaGroups: {
      readonly AUDIO: Readonly<
        Record<
          string,
          Readonly<Record<string, { readonly uri: string; readonly default: boolean }>>
        >
      >
    }
  }

  /** Takes text in pieces; the manifest is whole after `end`. */
  export class Parser {
    readonly manifest: Manifest
    push(text: string): void
    end(): void
  }
}
