/** What `kairo up` says when the peer is up: where to watch, push and administer, and how others join. */
import type { PeerAddresses } from '../peer/addresses.ts'
import { bold, dim, formatTable } from './output.ts'
import { startCommand } from './program.ts'

/** Addresses of the local network that are shown; a machine with many virtual networks would hide the rest. */
const NETWORK_ADDRESSES_SHOWN = 3

/**
 * The welcome, whole.
 * @param start what starts a peer, as the user types it
 */
export function welcome(addresses: PeerAddresses, start: string = startCommand()): string {
  const { peerId, home, http, network, admin, testStream } = addresses
  const rows = [
    ['Watch', http],
    ...network.http.slice(0, NETWORK_ADDRESSES_SHOWN).map((url) => ['on this network', url]),
    ...(testStream === null ? [] : [['Test stream', `${http}/#/watch/${testStream}`]]),
    ...pushRows(addresses),
    ['Admin', admin],
    ...joinRows(addresses, start),
    ['Peer', peerId],
    ['Home', home],
  ]
  const table = formatTable(rows).replace(/^(?! ).*? {2,}/gm, (label) => dim(label))
  return `\n${bold('Kairo is up.')} Ctrl-C stops it.\n\n${table}\n`
}

function pushRows({ http, rtmp, srt, network, streamKey, stream }: PeerAddresses): string[][] {
  if (rtmp === null) return []
  return [
    ['Push (OBS)', `server ${rtmp}`],
    ...network.rtmp
      .slice(0, NETWORK_ADDRESSES_SHOWN)
      .map((url) => ['on this network', `server ${url}`]),
    ['', `stream key ${streamKey}`],
    [
      'Push (ffmpeg)',
      `ffmpeg -re -i clip.mp4 -c:v libx264 -g 60 -c:a aac -f flv ${rtmp}/${streamKey}`,
    ],
    ...(srt === null ? [] : [['Push (SRT)', `${srt}?streamid=publish:${streamKey}`]]),
    ['', `appears as ${http}/#/watch/${stream}`],
  ]
}

/** By URL where there is one that others reach; by multiaddr where the HTTP server is for this machine alone. */
function joinRows({ http, network, multiaddrs, home }: PeerAddresses, start: string): string[][] {
  const loopback = /^http:\/\/(127\.|localhost[:/]|\[::1\])/.test(http)
  const far = network.http[0] ?? (loopback ? multiaddrs.find(isFar) : http)
  return [
    ...(far === undefined ? [] : [['Join', `${start} --join ${far}`]]),
    [
      far === undefined ? 'Join' : 'on this machine',
      `${start} --home ${quoted(`${home}-2`)} --join ${http}`,
    ],
  ]
}

function isFar(multiaddr: string): boolean {
  return !/^\/(ip4\/127\.|ip6\/::1\/)/.test(multiaddr)
}

/** A path as a shell takes it. */
function quoted(path: string): string {
  return /^[\w./~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
