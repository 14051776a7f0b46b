/** Reads what another page says on the control channel. */
import { protocolLimits as limits } from './limits.ts'
import type { Ask, End, Have, MeshMessage } from './mesh-messages.ts'
import { firstPushNo } from './mesh-messages.ts'
import {
  type Fields,
  fieldsOf,
  keyOf,
  readBoolean,
  readKey,
  readLength,
  readList,
  readNumber,
  readObject,
  readOptionalNumber,
} from './read-fields.ts'

const noMax = 0xffff_ffff

/**
 * Reads a control message of a page; undefined for one of a kind that this version does not know.
 * @throws ProtocolError for anything that a correct page would not send
 */
export function readMeshMessage(text: string): MeshMessage | undefined {
  const { kind, fields } = readObject(text, limits.meshMessageCharsMax)
  switch (kind) {
    case 'have':
      return readHave(fields)
    case 'lost':
      return { kind, keys: readList(fields, 'keys', limits.partsPerMessageMax, keyOf) }
    case 'ask':
      return readAsk(fields)
    case 'push':
      return { kind, no: readNumber(fields, 'no', firstPushNo, noMax), key: readKey(fields) }
    case 'end':
      return readEnd(fields)
    case 'cancel':
    case 'ping':
    case 'pong':
      return { kind, no: readNumber(fields, 'no', 0, noMax) }
    default:
      return undefined
  }
}

function readHave(fields: Fields): Have {
  const parts = readList(fields, 'parts', limits.partsPerMessageMax, (value) => {
    const part = fieldsOf(value, 'part')
    const key = readKey(part)
    const isWhole = readBoolean(part, 'isWhole')
    return part.bytes === undefined ? { key, isWhole } : { key, bytes: readLength(part), isWhole }
  })
  return { kind: 'have', parts }
}

function readAsk(fields: Fields): Ask {
  const from = readNumber(fields, 'from', 0, limits.partBytesMax)
  const to = readOptionalNumber(fields, 'to', from + 1, limits.partBytesMax)
  return {
    kind: 'ask',
    no: readNumber(fields, 'no', 0, firstPushNo - 1),
    key: readKey(fields),
    from,
    ...(to !== undefined && { to }),
  }
}

function readEnd(fields: Fields): End {
  return {
    kind: 'end',
    no: readNumber(fields, 'no', 0, noMax),
    ...(fields.bytes !== undefined && { bytes: readLength(fields) }),
    isCut: readBoolean(fields, 'isCut'),
  }
}
