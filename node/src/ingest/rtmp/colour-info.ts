/**
 * `colorInfo`, the HDR metadata that a publisher sends beside its pictures (Enhanced RTMP v2, "Metadata Frame").
 */
import { isKairoError } from '../../errors.ts'
import type { VideoColour } from '../../media/access-unit.ts'
import type { AmfObject, AmfValue } from './amf-value.ts'
import { decodeAmf0 } from './amf0.ts'

/** What a publisher says of its colours; fields that it leaves out are not there. */
export type ColourInfo = Partial<Omit<VideoColour, 'fullRange'>>

/** Chromaticities of `mdcv` count in 0.00002, luminances in 0.0001 cd/m2. */
const CHROMATICITIES_PER_UNIT = 50_000
const LUMINANCES_PER_UNIT = 10_000
const MASTERING_DISPLAY_BYTES = 24
/** The order of `mdcv`: green, blue, red, white point. */
const CHROMATICITY_FIELDS = [
  ...['greenX', 'greenY', 'blueX', 'blueY'],
  ...['redX', 'redY', 'whitePointX', 'whitePointY'],
]

/** Reads the AMF values of a metadata packet; undefined when they hold no `colorInfo` or are damaged. */
export function readColourInfo(data: Uint8Array): ColourInfo | undefined {
  let values: readonly AmfValue[]
  try {
    values = decodeAmf0(data)
  } catch (error) {
    if (!isKairoError(error)) throw error
    return undefined
  }
  const fields = values[values.indexOf('colorInfo') + 1]
  if (!values.includes('colorInfo') || !(fields instanceof Map)) return undefined
  return {
    ...codePoints(objectOf(fields, 'colorConfig')),
    ...contentLight(objectOf(fields, 'hdrCll')),
    ...masteringDisplay(objectOf(fields, 'hdrMdcv')),
  }
}

function codePoints(fields: AmfObject): ColourInfo {
  const point = (name: string): number | undefined => {
    const value = numberOf(fields, name, 255)
    return Number.isInteger(value) ? value : undefined
  }
  const primaries = point('colorPrimaries')
  const transfer = point('transferCharacteristics')
  const matrix = point('matrixCoefficients')
  return {
    ...(primaries === undefined ? {} : { primaries }),
    ...(transfer === undefined ? {} : { transfer }),
    ...(matrix === undefined ? {} : { matrix }),
  }
}

function contentLight(fields: AmfObject): ColourInfo {
  const contentMax = numberOf(fields, 'maxCLL', 0xffff)
  const averageMax = numberOf(fields, 'maxFall', 0xffff)
  if (contentMax === undefined || averageMax === undefined) return {}
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16BE(Math.round(contentMax), 0)
  bytes.writeUInt16BE(Math.round(averageMax), 2)
  return { contentLight: Uint8Array.from(bytes) }
}

function masteringDisplay(fields: AmfObject): ColourInfo {
  const bytes = Buffer.alloc(MASTERING_DISPLAY_BYTES)
  for (const [index, name] of CHROMATICITY_FIELDS.entries()) {
    const value = numberOf(fields, name, 1)
    if (value === undefined) return {}
    bytes.writeUInt16BE(Math.round(value * CHROMATICITIES_PER_UNIT), index * 2)
  }
  const luminanceMax = Math.floor((2 ** 32 - 1) / LUMINANCES_PER_UNIT)
  const brightest = numberOf(fields, 'maxLuminance', luminanceMax)
  const darkest = numberOf(fields, 'minLuminance', luminanceMax)
  if (brightest === undefined || darkest === undefined) return {}
  bytes.writeUInt32BE(Math.round(brightest * LUMINANCES_PER_UNIT), 16)
  bytes.writeUInt32BE(Math.round(darkest * LUMINANCES_PER_UNIT), 20)
  return { masteringDisplay: Uint8Array.from(bytes) }
}

function objectOf(fields: AmfObject, name: string): AmfObject {
  const value = fields.get(name)
  return value instanceof Map ? value : new Map()
}

/** A number from 0 to `max`; anything else is as if it were not there. */
function numberOf(fields: AmfObject, name: string, max: number): number | undefined {
  const value = fields.get(name)
  return typeof value === 'number' && value >= 0 && value <= max ? value : undefined
}
