/**
 * What hls.js loads playlists with (`pLoader`) where an engine was bound by a function, since a player is made after its settings: the first request for
 * a playlist is the moment at which there is one. Playlists themselves are loaded as hls.js would.
 */
import type { HlsConfig, Loader, PlaylistLoaderContext } from 'hls.js'

/** A class of playlist loaders that says when one is made. */
export function playlistLoaderClass(
  onLoader: () => void,
): new (
  config: HlsConfig,
) => Loader<PlaylistLoaderContext> {
  return class {
    constructor(config: HlsConfig) {
      onLoader()
      // A constructor that returns an object makes that one.
      // biome-ignore lint/correctness/noConstructorReturn: it is hls.js's own loader that loads, all of it.
      return new config.loader(config) as Loader<PlaylistLoaderContext>
    }
  } as new (
    config: HlsConfig,
  ) => Loader<PlaylistLoaderContext>
}
