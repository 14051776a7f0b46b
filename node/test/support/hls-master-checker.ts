/**
 * Checks a multivariant playlist against draft-pantos-hls-rfc8216bis-20. Each finding names its rule:
 *
 * | rule | what must hold | section |
 * | --- | --- | --- |
 * | syntax | EXTM3U first, known tags, each variant followed by its URI, attribute lists well formed | 4.1, 4.2 |
 * | required | BANDWIDTH and CODECS of every variant; TYPE, GROUP-ID, NAME of every rendition, URI but for closed captions | 4.4.6.1, 4.4.6.2 |
 * | average | AVERAGE-BANDWIDTH is at most BANDWIDTH | 4.4.6.2 |
 * | unique-name | NAME is unique in its group | 4.4.6.1.1 |
 * | default | at most one DEFAULT=YES in a group, which is AUTOSELECT=YES | 4.4.6.1 |
 * | autoselect | AUTOSELECT=YES members of a group differ in LANGUAGE | 4.4.6.1.1 |
 * | groups | every group that a variant names is there, and every group is named | 4.4.6.2 |
 * | same-groups | groups of one type have the same members by name | 4.4.6.2.1 |
 * | captions-none | CLOSED-CAPTIONS=NONE stands on every variant or on none | 4.4.6.2 |
 * | instream | closed captions have an INSTREAM-ID and no URI; others have none | 4.4.6.1 |
 * | video | variants with a video codec say RESOLUTION | 4.4.6.2 |
 * | duplicate | no URI stands twice with the same groups | 4.4.6.2 |
 */
import type { Finding } from './hls-checker.ts'
import { attributesOf } from './hls-playlist.ts'

type Attributes = ReadonlyMap<string, string>

interface Variant {
  readonly attributes: Attributes
  readonly uri: string
}

const TAGS = new Set([
  ...['EXTM3U', 'EXT-X-VERSION', 'EXT-X-INDEPENDENT-SEGMENTS', 'EXT-X-MEDIA'],
  ...['EXT-X-STREAM-INF', 'EXT-X-IMAGE-STREAM-INF'],
])
const ATTRIBUTE_LIST = /^[A-Z0-9-]+=("[^"\r\n]*"|[^",\s]+)(,[A-Z0-9-]+=("[^"\r\n]*"|[^",\s]+))*$/

/** What is wrong with a multivariant playlist; empty when nothing is. */
export function checkMaster(text: string): readonly Finding[] {
  const findings: Finding[] = []
  const expect = (rule: string, holds: boolean, message: string): void => {
    if (!holds) findings.push({ rule, message })
  }
  const lines = text.split('\n')
  expect('syntax', lines[0] === '#EXTM3U' && lines.at(-1) === '', 'first or last line')
  const media: Attributes[] = []
  const variants: Variant[] = []
  for (const [index, line] of lines.slice(0, -1).entries()) {
    const [, tag = '', value = ''] = /^#([^:]*)(?::(.*))?$/.exec(line) ?? []
    const wasVariant = lines[index - 1]?.startsWith('#EXT-X-STREAM-INF:') === true
    expect('syntax', line.startsWith('#') ? TAGS.has(tag) : wasVariant, `a stray line: ${line}`)
    if (!['EXT-X-MEDIA', 'EXT-X-STREAM-INF'].includes(tag)) continue
    expect('syntax', ATTRIBUTE_LIST.test(value), `attributes: ${line}`)
    const attributes = attributesOf(value)
    if (tag === 'EXT-X-MEDIA') media.push(attributes)
    else variants.push({ attributes, uri: lines[index + 1] ?? '' })
  }
  expect('required', variants.length > 0, 'no variant')
  checkVariants(variants, expect)
  checkMedia(media, expect)
  checkGroups(variants, media, expect)
  return findings
}

type Expect = (rule: string, holds: boolean, message: string) => void

function checkVariants(variants: readonly Variant[], expect: Expect): void {
  const seen = new Set<string>()
  for (const { attributes, uri } of variants) {
    const bandwidth = Number(attributes.get('BANDWIDTH'))
    const codecs = attributes.get('CODECS') ?? ''
    expect('syntax', uri !== '' && !uri.startsWith('#'), 'a variant without a URI')
    expect('required', Number.isInteger(bandwidth) && bandwidth > 0, `${uri}: BANDWIDTH`)
    expect('required', codecs !== '', `${uri}: CODECS`)
    const average = attributes.get('AVERAGE-BANDWIDTH')
    expect('average', average === undefined || Number(average) <= bandwidth, `${uri}: ${average}`)
    const isVideo = /(^|,)(avc|hvc|hev|av01|vp09)/.test(codecs)
    expect('video', !isVideo || attributes.has('RESOLUTION'), `${uri}: RESOLUTION`)
    const key = `${uri} ${attributes.get('AUDIO')}`
    expect('duplicate', !seen.has(key), `${key} stands twice`)
    seen.add(key)
  }
  const none = variants.filter(({ attributes }) => attributes.get('CLOSED-CAPTIONS') === 'NONE')
  const all = none.length === 0 || none.length === variants.length
  expect('captions-none', all, 'NONE stands on some variants only')
}

function checkMedia(media: readonly Attributes[], expect: Expect): void {
  for (const [group, members] of Map.groupBy(media, groupOf)) {
    const names = members.map((member) => member.get('NAME'))
    expect('unique-name', new Set(names).size === names.length, `${group}: ${names}`)
    const defaults = members.filter((member) => member.get('DEFAULT') === 'YES')
    const selected = defaults.every((member) => member.get('AUTOSELECT') === 'YES')
    expect('default', defaults.length <= 1 && selected, `${group}: ${defaults.length} defaults`)
    const auto = members.filter((member) => member.get('AUTOSELECT') === 'YES')
    const languages = new Set(auto.map((member) => member.get('LANGUAGE')))
    expect('autoselect', languages.size === auto.length, `${group}: languages repeat`)
    for (const member of members) {
      const required = ['TYPE', 'GROUP-ID', 'NAME'].every((name) => (member.get(name) ?? '') !== '')
      expect('required', required, `${group}: ${member.get('NAME')}`)
      const inStream = member.get('TYPE') === 'CLOSED-CAPTIONS'
      const consistent = member.has('INSTREAM-ID') === inStream && member.has('URI') !== inStream
      expect('instream', consistent, `${group}: ${member.get('NAME')}`)
    }
  }
}

function checkGroups(
  variants: readonly Variant[],
  media: readonly Attributes[],
  expect: Expect,
): void {
  const groups = Map.groupBy(media, groupOf)
  const named = new Set<string>()
  for (const { attributes, uri } of variants) {
    for (const type of ['AUDIO', 'SUBTITLES', 'CLOSED-CAPTIONS']) {
      const id = attributes.get(type)
      if (id === undefined || id === 'NONE') continue
      named.add(`${type} ${id}`)
      expect('groups', groups.has(`${type} ${id}`), `${uri} names ${id}, which is not there`)
    }
  }
  for (const group of groups.keys()) expect('groups', named.has(group), `nobody names ${group}`)
  const audio = [...groups].filter(([group]) => group.startsWith('AUDIO '))
  const first = audio[0]?.[1].map((member) => member.get('NAME'))
  for (const [group, members] of audio) {
    const same = members[0]?.get('NAME') === first?.[0]
    expect('same-groups', same, `${group} begins with another name than the first group`)
  }
}

function groupOf(member: Attributes): string {
  return `${member.get('TYPE')} ${member.get('GROUP-ID')}`
}
