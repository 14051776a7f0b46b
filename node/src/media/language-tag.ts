/** Languages as sources name them: any text, of which only a tag comes through to records and playlists. */

const FORM = /^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}$/

/** The BCP 47 tag that a source's text is, in its canonical, shortest form; undefined for `und` and for what is no tag. */
export function languageTag(text: string | null | undefined): string | undefined {
  if (text === null || text === undefined || !FORM.test(text)) return undefined
  try {
    const [tag] = Intl.getCanonicalLocales(text)
    return tag === 'und' || tag === undefined || !FORM.test(tag) ? undefined : tag
  } catch {
    // It has the form of a tag and is none.
    return undefined
  }
}
