// Languages as sources write them, and what is let through.
import { test } from 'tap'
import { languageTag } from '../../src/media/language-tag.ts'

test('only tags come through', async (t) => {
  t.equal(languageTag('deu'), 'de')
  t.equal(languageTag('EN-us'), 'en-US')
  t.equal(languageTag('und'), undefined)
  t.equal(languageTag(null), undefined)
  t.equal(languageTag(undefined), undefined)
  const hostile = ['', 'x', 'en"\n#EXT-X-KEY:METHOD=AES-128', 'e n', 'ab-', 'en-a', 'x'.repeat(64)]
  for (const text of hostile) t.equal(languageTag(text), undefined, text)
})
