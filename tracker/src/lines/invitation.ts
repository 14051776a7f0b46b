/** Invitations to a direct line: what proves which peer calls, and the names by which sockets of one line know one another. */
import type { Lane } from '../transport.ts'

/** Bytes of an invitation's name, and of its secret. */
export const nameBytes = 16
export const secretBytes = 32

/** Lanes by the numbers that they have between peers. */
export const lanes: readonly Lane[] = ['raft', 'bulk', 'call']

/** How a line says on the host's streams that it goes on: nothing else begins with this byte. */
const OWN_WORD = 0

/** What a socket says to show that it is there. */
export const beat: Uint8Array = Uint8Array.of(OWN_WORD)

/** What a socket of a line calls itself before anything is encrypted. */
export function identityOf(name: string, lane: Lane): string {
  return `${name}.${lanes.indexOf(lane)}`
}

/** The name and the lane in {@link identityOf}; undefined for what nobody calls itself. */
export function readIdentity(
  identity: string,
): { readonly name: string; readonly lane: Lane } | undefined {
  const match = /^([\w-]{22})\.([0-2])$/.exec(identity)
  const lane = lanes[Number(match?.[2])]
  return match?.[1] === undefined || lane === undefined ? undefined : { name: match[1], lane }
}

/** A name as it is told; what goes into the clear of a handshake is never what another peer chose. */
export function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

/** The last frame of a lane on the host's streams: all that follows goes over the line of this name. */
export function lastFrame(name: string): Uint8Array {
  return Buffer.concat([beat, Buffer.from(name, 'base64url')])
}

/** The name in {@link lastFrame}; undefined for every other frame. */
export function readLastFrame(frame: Uint8Array): string | undefined {
  if (frame[0] !== OWN_WORD || frame.byteLength !== 1 + nameBytes) return undefined
  return nameOf(frame.subarray(1))
}

/** Whether a frame is a word of the lines themselves and not for anybody above. */
export function isOwnWord(frame: Uint8Array): boolean {
  return frame[0] === OWN_WORD
}
