/**
 * Network coordinates after Vivaldi (Dabek, Cox, Kaashoek, Morris: "Vivaldi: A Decentralized Network Coordinate System",
 * SIGCOMM 2004): three dimensions and a height, adaptive timestep. Pure. One sample moves a peer a bounded way, and no peer's
 * certainty is believed beyond a floor, so that one that lies bends the map a little and never owns it.
 */
import { strict as assert } from 'node:assert'
import { coordinateLimits } from '../limits/nearest.ts'
import type { NetworkCoordinate } from './peer-advert.ts'

/** The paper's c_e and c_c: how much of a sample goes into the error and into the position. */
const ERROR_SHARE = 0.25
const MOVE_SHARE = 0.25

/** Where a peer begins that has measured nothing. */
export const unknownCoordinate: NetworkCoordinate = {
  position: Array.from({ length: coordinateLimits.dimensions }, () => 0),
  height: coordinateLimits.heightMsMin,
  error: 1,
}

/** The round trip between two points as the coordinates have it, milliseconds. */
export function coordinateDistance(a: NetworkCoordinate, b: NetworkCoordinate): number {
  return norm(difference(a.position, b.position)) + a.height + b.height
}

/**
 * Where a peer stands after one more round trip.
 * @param rttMs the measured round trip to `remote`.
 * @param random gives 0 to 1; chooses a direction for two that stand at the same point.
 */
export function updateCoordinate(
  own: NetworkCoordinate,
  remote: NetworkCoordinate,
  rttMs: number,
  random: () => number,
): NetworkCoordinate {
  const { rttMsMin, rttMsMax, errorMin, moveMsMax, heightMsMin, valueMsMax } = coordinateLimits
  assert(Number.isFinite(rttMs), 'a round trip is a number')
  const rtt = clamp(rttMs, rttMsMin, rttMsMax)
  const ownError = clamp(own.error, errorMin, 1)
  const remoteError = clamp(remote.error, errorMin, 1)
  const weight = ownError / (ownError + remoteError)
  const distance = coordinateDistance(own, remote)
  const sampleError = Math.min(1, Math.abs(distance - rtt) / rtt)
  const errorShare = ERROR_SHARE * weight
  const error = clamp(sampleError * errorShare + ownError * (1 - errorShare), errorMin, 1)
  // Positive pushes away from the other, negative pulls towards it.
  const move = clamp(MOVE_SHARE * weight * (rtt - distance), -moveMsMax, moveMsMax)
  const away = difference(own.position, remote.position)
  const awayLength = norm(away)
  const direction = awayLength > 1e-6 ? away.map((x) => x / awayLength) : randomDirection(random)
  // Of a vector with height, |x| + h, each part moves by its own share (section 5.4 of the paper).
  const planeShare = awayLength > 1e-6 ? awayLength / distance : 1
  const heightShare = (own.height + remote.height) / Math.max(distance, rttMsMin)
  return {
    position: own.position.map((x, axis) =>
      clamp(x + move * planeShare * (direction[axis] as number), -valueMsMax, valueMsMax),
    ),
    height: clamp(own.height + move * heightShare, heightMsMin, valueMsMax),
    error,
  }
}

function difference(a: readonly number[], b: readonly number[]): number[] {
  return a.map((x, axis) => x - (b[axis] ?? 0))
}

function norm(vector: readonly number[]): number {
  return Math.hypot(...vector)
}

function randomDirection(random: () => number): number[] {
  const vector = Array.from({ length: coordinateLimits.dimensions }, () => random() - 0.5)
  const length = norm(vector)
  // Chance gives the middle of the cube next to never; any direction serves then.
  return length > 1e-6 ? vector.map((x) => x / length) : vector.map((_, axis) => +(axis === 0))
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value))
}
