/** A media playlist as one text, for tests that read it as players do. */
import {
  type MediaPlaylistOptions,
  renderMediaPlaylistText,
} from '../../src/delivery/media-playlist.ts'
import type { PlaylistView } from '../../src/delivery/segments.ts'

/** The whole text of a playlist. */
export function renderMediaPlaylist(
  view: PlaylistView,
  options: MediaPlaylistOptions = {},
): string {
  const { head, archived, rest } = renderMediaPlaylistText(view, options)
  return `${head}${Buffer.concat(archived)}${rest}`
}
