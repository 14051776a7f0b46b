/** XML as manifests need it: elements and attributes, everything escaped. */

/** What an attribute may be given; undefined ones are left out. */
export type AttributeValue = string | number | undefined

/** An element with its children, already text. */
export function element(
  name: string,
  attributes: Readonly<Record<string, AttributeValue>>,
  children: readonly string[] = [],
): string {
  let text = `<${name}`
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) text += ` ${key}="${escapeXml(String(value))}"`
  }
  return children.length === 0 ? `${text}/>` : `${text}>${children.join('')}</${name}>`
}

/** Text as it may stand in an attribute or between tags; what XML 1.0 cannot hold becomes U+FFFD (XML 1.0 2.2). */
export function escapeXml(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, '\ufffd')
      .replace(/[&<>"'\t\n\r]/g, (letter) => `&#${letter.charCodeAt(0)};`)
  )
}

/** An ISO 8601 duration (xs:duration) of whole microseconds. */
export function isoDuration(us: number): string {
  const whole = Math.floor(us / 1_000_000)
  const fraction = String(Math.round(us % 1_000_000))
    .padStart(6, '0')
    .replace(/0+$/, '')
  return `PT${whole}${fraction === '' ? '' : `.${fraction}`}S`
}
