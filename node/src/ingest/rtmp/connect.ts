/**
 * The `connect` command's contents: which application is asked for, what the publisher is told that this server can do, and
 * how a stream key is read from `publish`.
 */
import { KairoError } from '../../errors.ts'
import { rtmpLimits } from '../../limits.ts'
import type { AmfObject, AmfValue } from './amf-value.ts'
import { audioFourCcs, videoFourCcs } from './codec-support.ts'

/** The one application: `rtmp://host/live/<stream key>`. */
const APPLICATION = 'live'
/** FourCcInfoMask of Enhanced RTMP v2: a server forwards what it does not decode. */
const CAN_FORWARD = 4
/** CapsExMask of Enhanced RTMP v2: multitrack, ModEx and its nanosecond offset are read. Reconnect is not offered. */
const CAPS_EX = 0x02 | 0x04 | 0x08
const VIDEO_FOURCCS = [...videoFourCcs.keys()]
const AUDIO_FOURCCS = [...audioFourCcs.keys()]

/** The two objects of the `_result` that answers `connect`. */
export interface ConnectAnswer {
  readonly properties: AmfObject
  readonly info: AmfObject
}

/** What to answer to a `connect` whose command object is `commandObject`. */
export function answerConnect(commandObject: AmfValue): ConnectAnswer {
  const asked = commandObject instanceof Map ? commandObject.get('objectEncoding') : undefined
  return {
    properties: new Map<string, AmfValue>([
      ['fmsVer', 'FMS/3,5,7,7009'],
      ['capabilities', 31],
      ['mode', 1],
    ]),
    info: new Map<string, AmfValue>([
      ['level', 'status'],
      ['code', 'NetConnection.Connect.Success'],
      ['description', 'connection accepted'],
      ['objectEncoding', asked === 3 ? 3 : 0],
      ['fourCcList', [...VIDEO_FOURCCS, ...AUDIO_FOURCCS]],
      ['videoFourCcInfoMap', forwarded(VIDEO_FOURCCS)],
      ['audioFourCcInfoMap', forwarded(AUDIO_FOURCCS)],
      ['capsEx', CAPS_EX],
    ]),
  }
}

/**
 * Checks that the client wants the `live` application, named by `app` or, where that is empty, by the path of `tcUrl`.
 * A query, slashes around it and Flash's `_definst_` instance are tolerated.
 * @throws KairoError `ERR_NOT_FOUND`.
 */
export function requireLiveApplication(commandObject: AmfValue): void {
  const fields: AmfObject = commandObject instanceof Map ? commandObject : new Map()
  const application = applicationName(fields.get('app')) || applicationName(tcUrlPath(fields))
  if (application !== APPLICATION) {
    throw new KairoError(
      'ERR_NOT_FOUND',
      `this server has one application, '${APPLICATION}': push to rtmp://host:port/${APPLICATION}/<stream key>`,
    )
  }
}

/** The stream key in the name given to `publish`, without slashes and query; undefined when there is none. */
export function streamKeyOf(name: AmfValue): string | undefined {
  if (typeof name !== 'string' || name.length > rtmpLimits.nameCharsMax) return undefined
  const key = withoutQuery(name).replace(/^\/+|\/+$/g, '')
  return key === '' ? undefined : key
}

function applicationName(value: AmfValue): string {
  if (typeof value !== 'string' || value.length > rtmpLimits.nameCharsMax) return ''
  return withoutQuery(value)
    .replace(/^\/+|\/+$/g, '')
    .replace(/\/_definst_$/, '')
}

function tcUrlPath(fields: AmfObject): string {
  const url = fields.get('tcUrl')
  if (typeof url !== 'string' || url.length > rtmpLimits.nameCharsMax) return ''
  return /^rtmps?:\/\/[^/]*(\/.*)$/i.exec(url)?.[1] ?? ''
}

function withoutQuery(text: string): string {
  return text.split('?', 1)[0] ?? ''
}

function forwarded(fourCcs: readonly string[]): AmfObject {
  return new Map(fourCcs.map((fourCc) => [fourCc, CAN_FORWARD]))
}
