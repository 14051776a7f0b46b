/** The region that a peer is in, asked over its API: a command's process for each question would keep a processor busy. */
import type { z } from 'zod'
import type { regionSchema } from '../../src/api/schemas-region.ts'
import { operatorOf } from './operator-client.ts'
import type { PeerProcess } from './peer-process.ts'
import { until } from './until.ts'

/** What a peer tells of its region. */
export type Region = z.output<typeof regionSchema>

const REGION_TIMEOUT_MS = 120_000

/** Waits until a peer tells of a region that is as it should be; what it tells otherwise is in the error. */
export async function regionOnce(
  peer: PeerProcess,
  isRight: (region: Region) => boolean,
  what: string,
): Promise<Region> {
  const operator = operatorOf(peer)
  let last: Region | undefined
  const ask = async (): Promise<boolean> => {
    last = await operator.get<Region>('/api/region')
    return isRight(last)
  }
  try {
    await until(ask, what, REGION_TIMEOUT_MS)
  } catch (error) {
    throw new Error(`${String(error)}; last: ${JSON.stringify(last)}`, { cause: error })
  }
  return last as Region
}

/** Waits until any two of a region's three voters decide, in every group, so that each of the three may go. */
export async function untilThreeVoters(peer: PeerProcess): Promise<void> {
  const isRight = ({ groups }: Region): boolean =>
    groups.length === 17 && groups.every((one) => one.voters.length === 3 && one.hasQuorum)
  await regionOnce(peer, isRight, 'a region of three')
}
