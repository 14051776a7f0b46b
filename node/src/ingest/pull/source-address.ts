/** The address of a pulled source: whether it may be pulled at all. */

const SCHEMES = new Set(['rtsp:', 'rtsps:', 'rtmp:', 'rtmps:', 'srt:', 'http:', 'https:'])

/** Why an address cannot be pulled from, in words; undefined when it can. */
export function sourceRefusal(url: string): string | undefined {
  const { protocol, hostname, searchParams } = new URL(url)
  if (!SCHEMES.has(protocol)) return 'streams are pulled from rtsp, rtmp, srt and http addresses'
  if (hostname === '') return 'the address names no host'
  if (protocol === 'srt:' && (searchParams.get('mode') ?? 'caller') !== 'caller') {
    return 'Kairo calls SRT sources; publishers who call use its SRT ingest (mode=caller)'
  }
  return undefined
}
