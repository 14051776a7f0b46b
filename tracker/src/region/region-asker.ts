/** Requests of this room to other peers, by their names; what they mean stands in region-messages.ts. */
import type { MemberAddress } from '../driver/directory.ts'
import type { ConfChangeSingle, RaftLogger } from '../raft/types.ts'
import { placementLimits, regionTimes } from './region-limits.ts'
import type { RegionMember } from './region-members.ts'
import {
  decodeHello,
  decodeJoinAnswer,
  decodeReport,
  decodeSeat,
  encodeChangeRequest,
  encodeDismissal,
  encodeHello,
  encodeInvitation,
  encodeJoinRequest,
  encodeOffer,
  encodeRegionId,
  encodeTransferRequest,
  type Hello,
  type JoinAnswer,
  type MemberReport,
  type OfferedKey,
  type RegionRequestKind,
} from './region-messages.ts'

/**
 * Asks another peer on the call lane.
 * @throws TrackerError with the code that the other peer refused with; ERR_UNAVAILABLE or ERR_UNKNOWN_OUTCOME without an answer in time
 */
export type Ask = (
  peerId: string,
  kind: RegionRequestKind,
  body: Uint8Array,
  options: { readonly timeoutMs: number },
) => Promise<Uint8Array>

const options = { timeoutMs: regionTimes.requestMs }

/** The requests. All throw what {@link Ask} throws, and TrackerError ERR_MALFORMED for an answer that is none. */
export class RegionAsker {
  readonly #ask: Ask

  constructor(ask: Ask) {
    this.#ask = ask
  }

  async hello(peerId: string, hello: Hello): Promise<Hello> {
    return decodeHello(await this.#ask(peerId, 'hello', encodeHello(hello), options))
  }

  async join(peerId: string, regionId: string, hello: Hello): Promise<JoinAnswer> {
    const body = encodeJoinRequest({ regionId, hello })
    return decodeJoinAnswer(await this.#ask(peerId, 'join', body, options))
  }

  async invite(
    peerId: string,
    regionId: string,
    group: number,
    addresses: readonly MemberAddress[],
  ): Promise<number> {
    const body = encodeInvitation({ regionId, group, addresses })
    return decodeSeat(await this.#ask(peerId, 'invite', body, options))
  }

  async dismiss(peerId: string, regionId: string, group: number, seat: number): Promise<void> {
    await this.#ask(peerId, 'dismiss', encodeDismissal({ regionId, group, seat }), options)
  }

  async change(
    peerId: string,
    regionId: string,
    group: number,
    changes: readonly ConfChangeSingle[],
    addresses: readonly MemberAddress[],
  ): Promise<void> {
    const body = encodeChangeRequest({ regionId, group, changes, addresses })
    await this.#ask(peerId, 'change', body, options)
  }

  async transfer(peerId: string, regionId: string, group: number, to: number): Promise<void> {
    await this.#ask(peerId, 'transfer', encodeTransferRequest({ regionId, group, to }), options)
  }

  async report(peerId: string, regionId: string): Promise<MemberReport> {
    return decodeReport(await this.#ask(peerId, 'report', encodeRegionId(regionId), options))
  }

  async offer(peerId: string, regionId: string, keys: readonly OfferedKey[]): Promise<void> {
    await this.#ask(peerId, 'offer', encodeOffer({ regionId, keys }), options)
  }
}

/** What those of some members who are alive tell of their groups; who does not answer is left out. */
export async function gatherReports(
  asker: RegionAsker,
  regionId: string,
  members: readonly RegionMember[],
  logger: RaftLogger,
): Promise<MemberReport[]> {
  const waiting = members.filter(({ presence }) => presence !== undefined)
  const reports: MemberReport[] = []
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { memberId, peerId } = next
      try {
        const report = await asker.report(peerId, regionId)
        // Somebody else behind that peer id by now: what it holds is not this member's.
        if (report.memberId === memberId) reports.push(report)
      } catch (error) {
        logger.debug?.(`member ${memberId} tells nothing: ${error}`)
      }
    }
  }
  await Promise.all(Array.from({ length: placementLimits.requestsMax }, work))
  return reports
}
