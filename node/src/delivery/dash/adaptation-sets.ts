/**
 * AdaptationSets (ISO/IEC 23009-1 5.3.3): pictures by codec and dynamic range, within which a player switches; each
 * rendition of sound by itself, since only people can say which of them tell the same; captions by language.
 */
import type { RenditionInfo } from '../../content/stream.ts'
import { HDR_TRANSFER } from '../../media/codecs/video-signal.ts'
import { mediaNames } from '../master-playlist.ts'
import { element, escapeXml } from './xml.ts'

/** One rendition with its SegmentTemplate or BaseURL, as XML. */
export interface RepresentationSource {
  readonly info: RenditionInfo
  /** Children of the Representation. */
  readonly media: readonly string[]
}

/** More that every set of pictures or sound carries, as XML. */
export interface AdaptationSetOptions {
  readonly producerReferenceTime?: string | undefined
}

const DASH_ROLE = 'urn:mpeg:dash:role:2011'
const CICP = 'urn:mpeg:mpegB:cicp:'
/** ITU-R BT.2020, in which HDR streams are. */
const BT2020_PRIMARIES = 9
const BT2020_MATRIX = 9

/** The AdaptationSets of one Period. */
export function adaptationSets(
  sources: readonly RepresentationSource[],
  options: AdaptationSetOptions = {},
): string[] {
  const kind = (name: RenditionInfo['kind']): RepresentationSource[] =>
    sources.filter(({ info }) => info.kind === name)
  const videos = Map.groupBy(kind('video'), ({ info }) => `${family(info)} ${info.videoRange}`)
  const audios = kind('audio')
  const captions = kind('captions')
  const audioNames = mediaNames(infosOf(audios), 'Audio')
  const captionNames = mediaNames(infosOf(captions), 'Captions')
  return [
    ...[...videos.values()].map((members, index) => videoSet(index + 1, members, options)),
    ...audios.map((source, index) =>
      audioSet(
        { id: 100 + index, source, name: audioNames[index] ?? '', main: index === 0 },
        options,
      ),
    ),
    ...captions.map((source, index) => captionSet(200 + index, source, captionNames[index] ?? '')),
  ]
}

function videoSet(
  id: number,
  members: readonly RepresentationSource[],
  options: AdaptationSetOptions,
): string {
  const infos = infosOf(members)
  const range = infos[0]?.videoRange
  const colour = (property: string, value: number): string =>
    element('SupplementalProperty', { schemeIdUri: `${CICP}${property}`, value })
  return element(
    'AdaptationSet',
    {
      id,
      contentType: 'video',
      mimeType: 'video/mp4',
      segmentAlignment: 'true',
      startWithSAP: 1,
      maxWidth: Math.max(...infos.map(({ width }) => width)),
      maxHeight: Math.max(...infos.map(({ height }) => height)),
    },
    [
      ...(range === undefined
        ? []
        : [
            colour('ColourPrimaries', BT2020_PRIMARIES),
            colour('TransferCharacteristics', HDR_TRANSFER[range]),
            colour('MatrixCoefficients', BT2020_MATRIX),
          ]),
      ...referenceTime(options),
      ...(infos.some(({ closedCaptions }) => closedCaptions === true)
        ? [element('Accessibility', { schemeIdUri: 'urn:scte:dash:cc:cea-608:2015', value: 'CC1' })]
        : []),
      element('Role', { schemeIdUri: DASH_ROLE, value: 'main' }),
      ...members.map(({ info, media }) =>
        element(
          'Representation',
          {
            id: info.name,
            codecs: info.codecs,
            bandwidth: bandwidthOf(info),
            width: info.width || undefined,
            height: info.height || undefined,
            frameRate: info.frameRate > 0 ? frameRateOf(info.frameRate) : undefined,
          },
          media,
        ),
      ),
    ],
  )
}

function audioSet(
  set: {
    readonly id: number
    readonly source: RepresentationSource
    readonly name: string
    readonly main: boolean
  },
  options: AdaptationSetOptions,
): string {
  const { id, source, name, main } = set
  const { info, media } = source
  return element(
    'AdaptationSet',
    {
      id,
      contentType: 'audio',
      mimeType: 'audio/mp4',
      lang: info.language,
      segmentAlignment: 'true',
      startWithSAP: 1,
    },
    [
      element('Label', {}, [escapeXml(name)]),
      ...referenceTime(options),
      element('Role', { schemeIdUri: DASH_ROLE, value: main ? 'main' : 'alternate' }),
      element(
        'Representation',
        { id: info.name, codecs: info.codecs, bandwidth: bandwidthOf(info) },
        [
          ...(info.channels > 0
            ? [
                element('AudioChannelConfiguration', {
                  schemeIdUri: 'urn:mpeg:dash:23003:3:audio_channel_configuration:2011',
                  value: info.channels,
                }),
              ]
            : []),
          ...media,
        ],
      ),
    ],
  )
}

function captionSet(id: number, { info, media }: RepresentationSource, name: string): string {
  return element(
    'AdaptationSet',
    { id, contentType: 'text', mimeType: 'text/vtt', lang: info.language },
    [
      element('Label', {}, [escapeXml(name)]),
      element('Role', { schemeIdUri: DASH_ROLE, value: 'subtitle' }),
      element('Representation', { id: info.name, bandwidth: bandwidthOf(info) }, media),
    ],
  )
}

function referenceTime({ producerReferenceTime }: AdaptationSetOptions): readonly string[] {
  return producerReferenceTime === undefined ? [] : [producerReferenceTime]
}

function infosOf(sources: readonly RepresentationSource[]): readonly RenditionInfo[] {
  return sources.map(({ info }) => info)
}

function bandwidthOf({ bandwidthBps }: RenditionInfo): number {
  return Math.max(1, Math.ceil(bandwidthBps))
}

/** The sample entry of a codec: `avc1`, `hvc1`, `av01`. */
function family({ codecs }: RenditionInfo): string {
  return codecs.split('.')[0] ?? ''
}

/** A frame rate as the fraction that it most likely is (xs:string of 5.3.7.2: `30`, `30000/1001`). */
function frameRateOf(rate: number): string {
  if (Math.abs(rate - Math.round(rate)) < 0.001) return String(Math.round(rate))
  const ntsc = Math.round(rate * 1.001)
  if (Math.abs((ntsc * 1_000) / 1_001 - rate) < 0.01) return `${ntsc * 1_000}/1001`
  return `${Math.round(rate * 1_000)}/1000`
}
