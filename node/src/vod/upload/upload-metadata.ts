/** What a client says of its file. It names things for people and is never part of a path. */
import { uploadLimits } from '../../limits/upload.ts'
import { cleanTitle } from '../title.ts'

/** Metadata that is kept: `filename` and `title`, cleaned; all else is dropped. */
export function keptMetadata(
  metadata: Readonly<Record<string, string | null>> | undefined,
): Record<string, string> {
  const filename = lastName(metadata?.filename ?? metadata?.name ?? '')
  const title = metadata?.title ?? ''
  return {
    ...(filename === '' ? {} : { filename }),
    ...(title.trim() === '' ? {} : { title: cleanTitle(title, '') }),
  }
}

/** Title of the video that an upload becomes: as given, else from the file's name. */
export function titleOf(metadata: Readonly<Record<string, string | null>> | undefined): string {
  const { title, filename } = keptMetadata(metadata)
  return cleanTitle(title ?? titleFromFilename(filename ?? ''), 'Untitled')
}

/** `my_holiday-2024.final.mp4` -> `my holiday-2024.final`. */
export function titleFromFilename(filename: string): string {
  return filename.replace(/\.[A-Za-z0-9]{1,5}$/, '').replaceAll('_', ' ')
}

/** The name without folders of any system, without what could hide in it, and not too long. */
function lastName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? ''
  return [...cleanTitle(last, '')].slice(0, uploadLimits.filenameCharsMax).join('')
}
