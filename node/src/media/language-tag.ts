/** Languages as sources name them: any text, of which only a tag comes through to records and playlists. */
import { LANGUAGE_TAG } from '../content/stream.ts'

/** The BCP 47 tag that a source's text is, in its canonical, shortest form; undefined for `und` and for what is no tag. */
export function languageTag(text: string | null | undefined): string | undefined {
  if (text === null || text === undefined || !LANGUAGE_TAG.test(text)) return undefined
  try {
    const [tag] = Intl.getCanonicalLocales(text)
    return tag === 'und' || tag === undefined || !LANGUAGE_TAG.test(tag) ? undefined : tag
  } catch {
    // It has the form of a tag and is none.
    return undefined
  }
}
