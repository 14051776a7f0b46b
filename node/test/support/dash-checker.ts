/**
 * Checks a DASH manifest, and its follow-ups, against ISO/IEC 23009-1 as far as players rely on it. Each finding names its rule:
 *
 * | rule | what must hold | section |
 * | --- | --- | --- |
 * | well-formed | one MPD element, tags closed in order, attributes quoted and unique | XML 1.0 |
 * | required | profiles and minBufferTime; for dynamic ones availabilityStartTime and publishTime, for static ones a duration | 5.3.1.2 |
 * | children | children of MPD, Period and AdaptationSet stand in the schema's order | Annex B |
 * | period-order | Periods have ids, none twice, and do not begin before the one before ends | 5.3.2 |
 * | representation | id unique in its Period, bandwidth, codecs for pictures and sound | 5.3.5.2 |
 * | template | media names $Number$, an initialization for CMAF, a timescale and a start number | 5.3.9.4 |
 * | timeline | S has d > 0, the first has t, t never goes back, no gaps but at the end of a Period | 5.3.9.6 |
 * | offset | the presentation time offset is not behind the first segment | 5.3.9.2 |
 * | aligned | pictures of a set list the same segments, but for the newest | 5.3.3.2 |
 * | low-latency | availabilityTimeComplete=false with an offset, a ServiceDescription and UTCTiming | DASH-IF LL 5.2 |
 * | stable | a follow-up keeps availabilityStartTime, and the start and offset of a Period of the same id | 5.4.1 |
 * | stable-segments | a segment that was whole keeps its time and duration | 5.4.1 |
 */
import type { Finding } from './hls-checker.ts'

/** An element, read. */
export interface XmlElement {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  text: string
}

type Expect = (rule: string, holds: boolean, message: string) => void

const ORDER: Readonly<Record<string, readonly string[]>> = {
  MPD: ['ProgramInformation', 'BaseURL', 'ServiceDescription', 'Period', 'UTCTiming'],
  Period: ['BaseURL', 'AdaptationSet'],
  AdaptationSet: [
    ...['EssentialProperty', 'SupplementalProperty', 'Label', 'ProducerReferenceTime'],
    ...['Accessibility', 'Role', 'BaseURL', 'SegmentTemplate', 'Representation'],
  ],
}

/** Watches one manifest; feed it every load in order. */
export class DashChecker {
  readonly findings: Finding[] = []
  #before: XmlElement | undefined

  /** Takes the next load. */
  load(text: string): this {
    const expect: Expect = (rule, holds, message) => {
      if (!holds) this.findings.push({ rule, message })
    }
    const mpd = readXml(text, (message) => expect('well-formed', false, message))
    if (mpd === undefined) return this
    checkMpd(mpd, expect)
    checkOrder(mpd, expect)
    checkPeriods(mpd, expect)
    if (this.#before !== undefined) checkSince(this.#before, mpd, expect)
    this.#before = mpd
    return this
  }
}

/** The root of a document; faults are told, and undefined is returned when there is none. */
export function readXml(
  text: string,
  fault: (message: string) => void = () => {},
): XmlElement | undefined {
  const stack: XmlElement[] = []
  let root: XmlElement | undefined
  let at = 0
  const pattern = /<(\/?)([A-Za-z][\w:.-]*)((?:\s+[\w:.-]+="[^"<]*")*)\s*(\/?)>|<\?xml[^>]*\?>\s*/g
  for (const match of text.matchAll(pattern)) {
    const between = text.slice(at, match.index)
    at = match.index + match[0].length
    if (stack.length > 0) (stack.at(-1) as XmlElement).text += between
    else if (between.trim() !== '') fault(`text outside the root: ${between.slice(0, 40)}`)
    const [, closing, name, attributes = '', empty] = match
    if (name === undefined) continue
    if (closing === '/') {
      if (stack.pop()?.name !== name) fault(`</${name}> closes another element`)
      continue
    }
    const element = { name, attributes: readAttributes(attributes, fault), children: [], text: '' }
    const parent = stack.at(-1)
    if (parent !== undefined) (parent.children as XmlElement[]).push(element)
    else if (root === undefined) root = element
    else fault('a second root')
    if (empty !== '/') stack.push(element)
  }
  if (text.slice(at).trim() !== '' || stack.length > 0) fault('the document breaks off')
  return root
}

function readAttributes(text: string, fault: (message: string) => void): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const [, name = '', value = ''] of text.matchAll(/([\w:.-]+)="([^"]*)"/g)) {
    if (attributes.has(name)) fault(`${name} stands twice`)
    if (/&(?!#\d+;|#x[0-9a-f]+;|amp;|lt;|gt;|quot;|apos;)/i.test(value))
      fault(`a bare & in ${name}`)
    attributes.set(name, value)
  }
  return attributes
}

/** Children of a name. */
export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name)
}

/** An xs:duration of seconds, as microseconds. */
function durationUs(text: string | undefined): number {
  const match = /^PT(\d+(?:\.\d+)?)S$/.exec(text ?? '')
  return match === null ? Number.NaN : Math.round(Number(match[1]) * 1_000_000)
}

function checkMpd(mpd: XmlElement, expect: Expect): void {
  const has = (name: string): boolean => (mpd.attributes.get(name) ?? '') !== ''
  expect('required', mpd.name === 'MPD' && has('profiles'), 'no MPD with profiles')
  expect('required', !Number.isNaN(durationUs(mpd.attributes.get('minBufferTime'))), 'buffer time')
  if (mpd.attributes.get('type') === 'dynamic') {
    expect('required', has('availabilityStartTime') && has('publishTime'), 'times of a live MPD')
    const timing = childrenOf(mpd, 'UTCTiming').length === 1
    expect('low-latency', timing, 'no UTCTiming')
    const description = childrenOf(mpd, 'ServiceDescription').length === 1
    expect('low-latency', description, 'no ServiceDescription')
    return
  }
  const last = childrenOf(mpd, 'Period').at(-1)
  const duration = durationUs(
    mpd.attributes.get('mediaPresentationDuration') ?? last?.attributes.get('duration'),
  )
  expect('required', duration > 0, 'a static MPD without a duration')
}

function checkOrder(element: XmlElement, expect: Expect): void {
  const order = ORDER[element.name]
  const places = element.children.map(({ name }) => order?.indexOf(name) ?? 0)
  const known = places.every((place) => place >= 0)
  const sorted = places.every((place, index) => place >= (places[index - 1] ?? 0))
  expect('children', known && sorted, `children of ${element.name} are out of order`)
  for (const child of element.children) checkOrder(child, expect)
}

function checkPeriods(mpd: XmlElement, expect: Expect): void {
  const periods = childrenOf(mpd, 'Period')
  expect('period-order', periods.length > 0, 'no Period')
  const ids = periods.map((period) => period.attributes.get('id'))
  expect('period-order', new Set(ids).size === ids.length && !ids.includes(undefined), `ids ${ids}`)
  let before = 0
  for (const period of periods) {
    const start = durationUs(period.attributes.get('start'))
    if (!Number.isNaN(start)) {
      expect('period-order', start >= before, `Period ${period.attributes.get('id')} goes back`)
      before = start
    }
    checkPeriod(period, expect)
  }
}

function checkPeriod(period: XmlElement, expect: Expect): void {
  const seen = new Set<string | undefined>()
  for (const set of childrenOf(period, 'AdaptationSet')) {
    const kind = set.attributes.get('contentType')
    const listed: string[] = []
    for (const representation of childrenOf(set, 'Representation')) {
      const id = representation.attributes.get('id')
      expect('representation', id !== undefined && !seen.has(id), `id ${id}`)
      seen.add(id)
      expect(
        'representation',
        Number(representation.attributes.get('bandwidth')) > 0,
        `${id}: rate`,
      )
      const isMedia = kind === 'video' || kind === 'audio'
      const codecs = representation.attributes.has('codecs')
      expect('representation', !isMedia || codecs, `${id}: codecs`)
      const [template] = childrenOf(representation, 'SegmentTemplate')
      if (template === undefined) continue
      checkTemplate(template, isMedia, expect)
      const whole = timesOf(template).slice(0, -1)
      listed.push(whole.map(({ number, startUs }) => `${number}@${startUs}`).join())
    }
    const alike = listed.every(
      (each) => each.startsWith(listed[0] ?? '') || listed[0]?.startsWith(each),
    )
    expect('aligned', kind !== 'video' || alike, `set ${set.attributes.get('id')} is not aligned`)
  }
}

function checkTemplate(template: XmlElement, isMedia: boolean, expect: Expect): void {
  const { attributes } = template
  const media = attributes.get('media') ?? ''
  expect('template', media.includes('$Number$'), `media is ${media}`)
  expect('template', attributes.has('initialization') === isMedia, `${media}: initialization`)
  const numbers = ['timescale', 'startNumber', 'presentationTimeOffset']
  const counted = numbers.every((name) => /^\d+$/.test(attributes.get(name) ?? ''))
  expect('template', counted, `${media}: numbers`)
  const early = attributes.get('availabilityTimeOffset')
  const isEarly = attributes.get('availabilityTimeComplete') === 'false'
  expect('low-latency', (early !== undefined) === isEarly, `${media}: availability`)
  const elements = childrenOf(template, 'SegmentTimeline').flatMap(({ children }) => children)
  expect('timeline', elements[0]?.attributes.has('t') === true, `${media}: the first S has no t`)
  let endUs = Number.NEGATIVE_INFINITY
  for (const { number, startUs, durationUs: us, explicit } of timesOf(template)) {
    expect('timeline', us > 0 && startUs >= endUs, `${media}: segment ${number}`)
    const isGap = endUs !== Number.NEGATIVE_INFINITY && startUs !== endUs
    expect('timeline', !isGap || explicit, `${media}: a gap before ${number} that nobody tells`)
    endUs = startUs + us
  }
  const first = timesOf(template)[0]?.startUs ?? 0
  const offset = Number(attributes.get('presentationTimeOffset'))
  // Sound may begin a little before the picture whose Period it is in.
  expect('offset', first >= offset - 1_000_000, `${media}: it begins ${offset - first} us early`)
}

interface ListedSegment {
  readonly number: number
  readonly startUs: number
  readonly durationUs: number
  readonly explicit: boolean
}

/** The segments that a template lists. */
export function timesOf(template: XmlElement): readonly ListedSegment[] {
  const segments: ListedSegment[] = []
  let number = Number(template.attributes.get('startNumber'))
  let us = 0
  const elements = childrenOf(template, 'SegmentTimeline').flatMap(({ children }) => children)
  for (const { attributes } of elements) {
    const t = attributes.get('t')
    if (t !== undefined) us = Number(t)
    const d = Number(attributes.get('d'))
    for (let repeat = Number(attributes.get('r') ?? 0); repeat >= 0; repeat -= 1) {
      segments.push({ number, startUs: us, durationUs: d, explicit: t !== undefined })
      number += 1
      us += d
    }
  }
  return segments
}

function checkSince(before: XmlElement, now: XmlElement, expect: Expect): void {
  if (now.attributes.get('type') !== 'dynamic') return
  const start = 'availabilityStartTime'
  expect('stable', before.attributes.get(start) === now.attributes.get(start), `${start} changes`)
  for (const period of childrenOf(now, 'Period')) {
    const id = period.attributes.get('id')
    const old = childrenOf(before, 'Period').find((each) => each.attributes.get('id') === id)
    if (old === undefined) continue
    const same = old.attributes.get('start') === period.attributes.get('start')
    expect('stable', same, `the start of Period ${id} changes`)
    for (const [name, template] of templatesOf(period)) {
      const earlier = templatesOf(old).get(name)
      if (earlier !== undefined) checkTemplateSince(name, earlier, template, expect)
    }
  }
}

function checkTemplateSince(name: string, old: XmlElement, now: XmlElement, expect: Expect): void {
  const offset = 'presentationTimeOffset'
  expect('stable', old.attributes.get(offset) === now.attributes.get(offset), `${name}: ${offset}`)
  const times = new Map(timesOf(now).map((segment) => [segment.number, segment]))
  const whole = timesOf(old).slice(0, -1)
  for (const { number, startUs, durationUs: us } of whole) {
    const found = times.get(number)
    if (found === undefined) continue
    const same = Math.abs(found.startUs - startUs) <= 1 && Math.abs(found.durationUs - us) <= 1
    const isLast = whole.at(-1)?.number === number
    expect(
      'stable-segments',
      same || (isLast && found.startUs === startUs),
      `${name} ${number} moves`,
    )
  }
}

function templatesOf(period: XmlElement): ReadonlyMap<string, XmlElement> {
  const entries = childrenOf(period, 'AdaptationSet')
    .flatMap((set) => childrenOf(set, 'Representation'))
    .flatMap((each): [string, XmlElement][] =>
      childrenOf(each, 'SegmentTemplate').map((template) => [
        each.attributes.get('id') ?? '',
        template,
      ]),
    )
  return new Map(entries)
}
