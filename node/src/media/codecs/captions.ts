/**
 * Finds CEA-608/708 closed captions in pictures: ATSC A/53 user data in SEI messages (ATSC A/53 part 4, 6.2.3).
 */
import type { VideoCodec } from '../access-unit.ts'
import { hevcNalType } from './hevc-sample.ts'
import { readNalSample, type SeiMessage, seiMessages } from './nal-units.ts'

const H264_SEI = 6
const HEVC_SEI_PREFIX = 39
const SEI_REGISTERED_USER_DATA = 4
/** Country USA, provider ATSC, identifier `GA94`, type `cc_data`. */
const CAPTION_HEADER = Buffer.from([0xb5, 0x00, 0x31, 0x47, 0x41, 0x39, 0x34, 0x03])
const CC_VALID = 0x04

/**
 * True when a picture carries closed captions. `data` is the access unit's, with 4-byte NAL lengths; codecs other than H.264 and
 * HEVC have none. Costs next to nothing where there is no SEI.
 */
export function hasClosedCaptions(codec: VideoCodec, data: Uint8Array): boolean {
  if (codec !== 'h264' && codec !== 'hevc') return false
  let found = false
  readNalSample(data, 4, (nal) => {
    if (found) return
    const h264 = codec === 'h264'
    const isSei = h264 ? ((nal[0] ?? 0) & 31) === H264_SEI : hevcNalType(nal) === HEVC_SEI_PREFIX
    if (isSei) found = seiMessages(nal.subarray(h264 ? 1 : 2)).some(isCaption)
  })
  return found
}

function isCaption({ type, payload }: SeiMessage): boolean {
  const headerBytes = CAPTION_HEADER.byteLength
  if (type !== SEI_REGISTERED_USER_DATA || payload.byteLength < headerBytes + 2) return false
  if (!CAPTION_HEADER.equals(payload.subarray(0, headerBytes))) return false
  const count = (payload[headerBytes] ?? 0) & 31
  const triplets = payload.subarray(headerBytes + 2, headerBytes + 2 + count * 3)
  for (let offset = 0; offset < triplets.byteLength; offset += 3) {
    if (((triplets[offset] ?? 0) & CC_VALID) !== 0) return true
  }
  return false
}
