/** Subtitles of every container become text that WebVTT takes, whatever markup they bring. */
import fc from 'fast-check'
import { test } from 'tap'
import { parseWebVtt, serialiseWebVtt } from '../../../src/media/captions/webvtt.ts'
import { cueText } from '../../../src/media/child/file/subtitle-text.ts'

function movText(text: string): Buffer {
  const body = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.byteLength)
  // A style box behind the text.
  return Buffer.concat([length, body, Buffer.from([0, 0, 0, 8, 0x73, 0x74, 0x79, 0x6c])])
}

test('text of subtitles', async (t) => {
  t.equal(
    cueText('subrip', Buffer.from('<font color="x">A</font> <I>b</I> & <c>\r\n\r\n d --> e ')),
    'A <i>b</i> &amp; &lt;c&gt;\nd --&gt; e',
  )
  t.equal(cueText('mov_text', movText('a <b>\n\nc')), 'a &lt;b&gt;\nc')
  t.equal(cueText('mov_text', Buffer.of(0)), '')
  t.equal(
    cueText('ass', Buffer.from('1,0,Default,,0,0,0,,{\\b1}One, two\\Nthree\\h4')),
    'One, two\nthree 4',
  )
  t.equal(cueText('webvtt', Buffer.from('<v Ann>Hi')), '<v Ann>Hi')

  await t.test('any bytes make a file that reads back', async (t) => {
    const codecs = fc.constantFrom('subrip', 'mov_text', 'ass', 'webvtt')
    fc.assert(
      fc.property(codecs, fc.uint8Array({ maxLength: 200 }), (codec, bytes) => {
        const text = cueText(codec, Buffer.from(bytes))
        if (text === '') return true
        const [cue] = parseWebVtt(serialiseWebVtt([{ startMs: 0, endMs: 1, text }]))
        return cue?.text === text
      }),
    )
    t.pass()
  })
})
