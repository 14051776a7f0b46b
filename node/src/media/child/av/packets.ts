/** Access units into FFmpeg's packets. The way back is {@link PacketReader}, since it takes more than one packet's knowledge. */
import { AV_NOPTS_VALUE } from 'node-av/constants'
import type { IRational, Packet } from 'node-av/lib'
import { type AccessUnit, TICKS_PER_SECOND } from '../../access-unit.ts'
import { unitTimeBase } from './decoder.ts'

/** Fills an empty packet with a unit, times in 1/90000 s; the bytes are copied. */
export function fillPacket(packet: Packet, unit: AccessUnit): void {
  const { data } = unit
  packet.data = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  packet.dts = BigInt(Math.round(unit.dts))
  packet.pts = BigInt(Math.round(unit.pts))
  packet.timeBase = unitTimeBase
  packet.isKeyframe = unit.keyframe
}

/** A time in 1/90000 s; undefined when FFmpeg has none. */
export function ticksOf(time: bigint, timeBase: IRational): number | undefined {
  if (time === AV_NOPTS_VALUE) return undefined
  return Math.round((Number(time) * timeBase.num * TICKS_PER_SECOND) / timeBase.den)
}
