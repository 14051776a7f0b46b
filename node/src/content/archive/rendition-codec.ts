/** A rendition's description as it is kept on disk: the message of the wire, both ways. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { Rendition, RenditionSchema } from '../../protocol/generated/records_pb.js'
import type { RenditionInfo } from '../stream.ts'

/** The message of a rendition. */
export function renditionToMessage(info: RenditionInfo): MessageInitShape<typeof RenditionSchema> {
  return { ...info }
}

/** The rendition of a message that this peer has written itself. */
export function renditionFromMessage(message: Rendition): RenditionInfo {
  const { name, codecs, bandwidthBps, width, height, frameRate, channels } = message
  const { videoRange, language, label, closedCaptions } = message
  return {
    ...{ name, kind: message.kind as RenditionInfo['kind'], codecs, bandwidthBps },
    ...{ width, height, frameRate, channels },
    ...(videoRange === '' ? {} : { videoRange: videoRange as 'PQ' | 'HLG' }),
    ...(language === '' ? {} : { language }),
    ...(label === '' ? {} : { label }),
    ...(closedCaptions ? { closedCaptions } : {}),
  }
}
