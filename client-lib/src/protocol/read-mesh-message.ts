/** Reads what another page says on the control channel. */
import {
  bad,
  type Check,
  flag,
  key,
  length,
  messageReader,
  number,
  object,
  optional,
  parts,
} from './checks.ts'
import { protocolLimits as limits } from './limits.ts'
import { type Ask, firstPushNo, type MeshMessage } from './mesh-messages.ts'

const noMax = 0xffff_ffff
const onlyNo = object({ no: number(0, noMax) })
const askFields = object({
  no: number(0, firstPushNo - 1),
  key,
  from: length,
  to: optional(length),
})

const ask: Check<Omit<Ask, 'kind'>> = (value, name) => {
  const fields = askFields(value, name)
  const { from, to = limits.partBytesMax } = fields
  return from < to ? fields : bad('to')
}

/**
 * Reads a control message of a page; undefined for one of a kind that this version does not know.
 * @throws ProtocolError for anything that a correct page would not send
 */
export const readMeshMessage = messageReader<MeshMessage>(limits.meshMessageCharsMax, {
  have: object({ parts: parts(object({ key, bytes: optional(length), isWhole: flag })) }),
  lost: object({ keys: parts(key) }),
  ask,
  push: object({ no: number(firstPushNo, noMax), key }),
  end: object({ no: number(0, noMax), bytes: optional(length), isCut: flag }),
  cancel: onlyNo,
  ping: onlyNo,
  pong: onlyNo,
})
