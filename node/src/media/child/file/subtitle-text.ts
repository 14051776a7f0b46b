/**
 * The text of one subtitle out of a container, whatever its codec, as the payload of a WebVTT cue. Pure: what people write into files is
 * escaped where WebVTT would take it for markup, and what the formats use for fonts and places is left out.
 */

/** The payload of a packet as WebVTT text; empty when it says nothing. */
export function cueText(codecName: string, data: Buffer): string {
  if (codecName === 'mov_text') return plain(movText(data))
  const text = data.toString('utf8')
  if (codecName === 'ass' || codecName === 'ssa') return plain(assText(text))
  // SubRip's own tags, bold, italics and underline, are WebVTT's too.
  return codecName === 'webvtt' ? paragraph(text) : paragraph(keepTags(text))
}

/** A 16-bit length, the text, and boxes of style (ETSI TS 126 245 5.17). */
function movText(data: Buffer): string {
  if (data.byteLength < 2) return ''
  return data.toString('utf8', 2, Math.min(data.byteLength, 2 + data.readUInt16BE(0)))
}

/** `ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text`: the last field may hold commas, and overrides in braces. */
function assText(text: string): string {
  const fields = text.split(',')
  return fields
    .slice(8)
    .join(',')
    .replace(/\{[^}]*\}/g, '')
    .replace(/\\[Nn]/g, '\n')
    .replace(/\\h/g, ' ')
}

function plain(text: string): string {
  return paragraph(escapeText(text))
}

function escapeText(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}

/** Escapes everything but `<b>`, `<i>`, `<u>` and their ends. */
function keepTags(text: string): string {
  const withoutFonts = text.replace(/<\/?font[^>]*>/gi, '').replace(/\{\\[^}]*\}/g, '')
  return escapeText(withoutFonts).replace(
    /&lt;(\/?)([biu])&gt;/gi,
    (_, end, tag) => `<${end}${tag.toLowerCase()}>`,
  )
}

/** Lines without empty ones between them, which would end a cue, and without the arrow that begins one. */
function paragraph(text: string): string {
  return text
    .replace(/\0/g, '')
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim().replace(/-->/g, '--&gt;'))
    .filter((line) => line !== '')
    .join('\n')
}
