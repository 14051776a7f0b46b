/**
 * Checks successive loads of one media playlist against the rules of draft-pantos-hls-rfc8216bis-20 that a server must keep.
 * Each finding names its rule:
 *
 * | rule | what must hold | section |
 * | --- | --- | --- |
 * | syntax | known tags at their place, EXTM3U first, no blank or stray line | 4.1, 4.4.1 |
 * | once | each playlist tag at most once, the required ones exactly once | 4.4.3 |
 * | version | EXT-X-VERSION is at least 6 with EXT-X-MAP, at least 9 with EXT-X-SKIP | 8 |
 * | target-duration | each EXTINF, rounded, is at most the target duration | 4.4.3.1 |
 * | part-target | no part is longer than the part target | 4.4.3.7, 4.4.4.9 |
 * | part-minimum | a part has at least 85 % of the least part target declared so far, unless it is the last of its segment or a part from which decoding can start follows | 4.4.4.9 |
 * | part-sum | a segment lasts as long as its parts together | 4.4.4.9 |
 * | part-list | segments that begin within three target durations of the end list their parts, earlier ones do not | 6.2.2 |
 * | part-names | part and segment URIs follow from their numbers, none is missing or twice | 4.4.4.9 |
 * | server-control | CAN-BLOCK-RELOAD; HOLD-BACK >= 3 targets; PART-HOLD-BACK >= 3 part targets; CAN-SKIP-UNTIL >= 6 targets | 4.4.3.8 |
 * | hint | exactly one preload hint, for the next part; none after the end | 4.4.5.3 |
 * | map | the first segment has a map; a map changes only at a discontinuity | 4.4.4.5 |
 * | date | program date-times follow from the durations except at discontinuities | 4.4.4.6 |
 * | independent | with EXT-X-INDEPENDENT-SEGMENTS every listed first part is independent | 4.4.2.1 |
 * | digests | parts, closed segments and the signature are well formed | docs/protocol/hls.md |
 * | reports | LAST-MSN and LAST-PART are there and never go back | 4.4.5.4 |
 * | sequence | the media sequence number never goes back | 6.2.2 |
 * | removal | segments leave in order from the front, and three target durations remain | 6.2.2 |
 * | immutable | a segment keeps its URI, duration, date, map, digest and parts; an open one only grows | 6.2.1 |
 * | targets | the target duration does not change; the part target is above its least only while a part that long is listed | 6.2.1, docs/decisions/0005 |
 * | discontinuity-sequence | grows by the discontinuities that left with their segments | 6.2.2 |
 * | endlist | nothing is added after EXT-X-ENDLIST, and it stays | 6.2.1 |
 * | captions | a playlist of captions has WebVTT segments, and neither parts, hints nor maps | 3.1.4, 4.4.4.9 |
 * | skip | a delta update skips only what lies beyond the Skip Boundary, and with what was loaded before gives the full playlist | 4.4.5.2, 6.2.5.1 |
 */
import {
  attributesOf,
  type ReadPlaylist,
  type ReadSegment,
  readPlaylist,
  secondsToUs,
} from './hls-playlist.ts'

/** One broken rule. */
export interface Finding {
  readonly rule: string
  readonly message: string
}

/** Allowances for real encoders. */
export interface CheckerInit {
  /** How far a program date-time may be from where the durations put it, milliseconds. Default 1. */
  readonly dateToleranceMs?: number
  /** A playlist of captions: WebVTT segments without parts, hints and init segments. Default false. */
  readonly captions?: boolean
}

/** Watches one media playlist; feed it every full load in order. */
export class HlsChecker {
  readonly findings: Finding[] = []
  readonly #dateToleranceMs: number
  readonly #captions: boolean
  #previous: ReadPlaylist | undefined
  /** What parts are cut to: a longer picture raises the part target for a while only. */
  #leastPartTargetUs = Number.POSITIVE_INFINITY

  constructor(init: CheckerInit = {}) {
    this.#dateToleranceMs = init.dateToleranceMs ?? 1
    this.#captions = init.captions ?? false
  }

  /** Takes the next full load. */
  load(text: string): this {
    const playlist = readPlaylist(text)
    this.#leastPartTargetUs = Math.min(this.#leastPartTargetUs, playlist.partTargetUs)
    this.#checkSyntax(playlist)
    this.#checkPartTarget(playlist)
    this.#checkControl(playlist)
    this.#checkSegments(playlist)
    this.#checkEnd(playlist)
    if (this.#previous !== undefined) this.#checkSince(this.#previous, playlist)
    this.#previous = playlist
    return this
  }

  /**
   * Takes a delta update: with the full load before it, it must give `full`, byte for byte. Does not count as a load.
   */
  delta(text: string, previous: string, full: string): this {
    const delta = readPlaylist(text)
    if (delta.skipped === 0) {
      this.#expect('skip', text === full, 'an update without EXT-X-SKIP is not the full playlist')
      return this
    }
    const version = Number(delta.tags.get('EXT-X-VERSION')?.[0])
    this.#expect('version', version >= 9, 'EXT-X-SKIP needs version 9')
    this.#expect(
      'skip',
      applyDelta(previous, text) === full,
      'the delta does not give the full one',
    )
    this.#checkBoundary(delta, readPlaylist(full))
    return this
  }

  #checkBoundary(delta: ReadPlaylist, full: ReadPlaylist): void {
    const control = attributesOf(delta.tags.get('EXT-X-SERVER-CONTROL')?.[0] ?? '')
    const boundaryUs = secondsToUs(control.get('CAN-SKIP-UNTIL'))
    this.#expect('skip', !Number.isNaN(boundaryUs), 'skips without CAN-SKIP-UNTIL')
    const lastSkipped = full.segments.at(delta.skipped - 1)
    const after = full.segments.slice(delta.skipped)
    const distanceUs = after.reduce((sum, segment) => sum + lengthOf(segment), 0)
    this.#expect(
      'skip',
      lastSkipped !== undefined && distanceUs > boundaryUs,
      `segment ${lastSkipped?.msn} is skipped though it ends within the Skip Boundary`,
    )
  }

  #checkSyntax(playlist: ReadPlaylist): void {
    for (const fault of playlist.faults) this.#expect('syntax', false, fault)
    this.#expect('syntax', playlist.lines[0] === '#EXTM3U', 'EXTM3U is not the first line')
    const required = ['EXT-X-VERSION', 'EXT-X-TARGETDURATION', 'EXT-X-SERVER-CONTROL']
    const partInf = this.#captions ? [] : ['EXT-X-PART-INF']
    for (const name of [...required, ...partInf, 'EXT-X-MEDIA-SEQUENCE']) {
      this.#expect('once', playlist.tags.get(name)?.length === 1, `${name} is not there once`)
    }
    for (const [name, values] of playlist.tags) {
      const many = /^EXT(INF|-X-(PART|MAP|DISCONTINUITY|PROGRAM-DATE-TIME|RENDITION-REPORT))$/
      this.#expect(
        'once',
        values.length === 1 || many.test(name),
        `${name} is there more than once`,
      )
    }
    const version = Number(playlist.tags.get('EXT-X-VERSION')?.[0])
    const needed = playlist.skipped > 0 ? 9 : 6
    this.#expect('version', version >= needed, `version ${version} is below ${needed}`)
    const signature = playlist.head.find((line) => line.startsWith('#X-KAIRO-SIGNATURE:'))
    const wellFormed = /^#X-KAIRO-SIGNATURE:[A-Za-z0-9+/]{86}==$/.test(signature ?? '')
    this.#expect('digests', wellFormed, 'the signature is not 64 bytes in base64')
  }

  #checkControl(playlist: ReadPlaylist): void {
    const control = attributesOf(playlist.tags.get('EXT-X-SERVER-CONTROL')?.[0] ?? '')
    const { targetDurationUs, partTargetUs } = playlist
    const atLeast = (name: string, us: number): void => {
      const value = control.get(name)
      this.#expect('server-control', secondsToUs(value) >= us, `${name} is ${value}`)
    }
    this.#expect('server-control', control.get('CAN-BLOCK-RELOAD') === 'YES', 'cannot block reload')
    atLeast('HOLD-BACK', 3 * targetDurationUs)
    if (!this.#captions) atLeast('PART-HOLD-BACK', 3 * partTargetUs)
    if (control.has('CAN-SKIP-UNTIL')) atLeast('CAN-SKIP-UNTIL', 6 * targetDurationUs)
  }

  #checkPartTarget({ partTargetUs, segments }: ReadPlaylist): void {
    const needed = segments.some(({ parts }) =>
      parts.some((part) => part.durationUs === partTargetUs),
    )
    const raised = partTargetUs > this.#leastPartTargetUs
    this.#expect('targets', !raised || needed, 'the part target is raised for no listed part')
  }

  #checkSegments(playlist: ReadPlaylist): void {
    const { segments } = playlist
    const independent = playlist.tags.has('EXT-X-INDEPENDENT-SEGMENTS')
    let behindUs = segments.reduce((sum, segment) => sum + lengthOf(segment), 0)
    let before: ReadSegment | undefined
    for (const segment of segments) {
      const open = segment.uri === undefined
      const recent = open || behindUs <= 3 * playlist.targetDurationUs
      behindUs -= lengthOf(segment)
      this.#checkSegment(segment, playlist)
      const { msn, parts } = segment
      const listed = parts.length > 0
      const expected = recent && !this.#captions
      this.#expect('part-list', expected === listed, `segment ${msn} lists ${parts.length} parts`)
      if (independent && parts[0] !== undefined) {
        this.#expect('independent', parts[0].independent, `segment ${msn} is not independent`)
      }
      const mapped = segment.map !== undefined
      this.#expect('map', mapped !== this.#captions, `segment ${msn}: its map is ${segment.map}`)
      this.#checkFollows(before, segment)
      before = segment
    }
  }

  #checkSegment(segment: ReadSegment, playlist: ReadPlaylist): void {
    const { msn, parts, uri, durationUs, digest } = segment
    const { targetDurationUs, partTargetUs } = playlist
    if (uri !== undefined) {
      const rounded = Math.round(durationUs / 1_000_000) * 1_000_000
      this.#expect('target-duration', rounded <= targetDurationUs, `segment ${msn} is too long`)
      this.#expect(
        'part-names',
        uri === `${msn}.${this.#captions ? 'vtt' : 'm4s'}`,
        `segment ${msn} is named ${uri}`,
      )
      const wellFormed = digest === undefined || /^[0-9a-f]{64}$/.test(digest)
      this.#expect('digests', wellFormed, `segment ${msn} has a malformed digest`)
    }
    for (const [index, part] of parts.entries()) {
      const name = `${msn}.${index}.m4s`
      const next = parts[index + 1]
      this.#expect('part-names', part.uri === name, `${part.uri} stands where ${name} belongs`)
      this.#expect('part-target', part.durationUs <= partTargetUs, `${name} is too long`)
      const exempt = next === undefined || next.independent
      const long = part.durationUs >= 0.85 * this.#leastPartTargetUs
      this.#expect('part-minimum', exempt || long, `${name} is shorter than 85 % of the target`)
      const wellFormed = /^[0-9a-f]{64}$/.test(part.digest ?? '')
      this.#expect('digests', wellFormed, `${name} has no digest`)
    }
    if (uri === undefined || parts.length === 0) return
    const sumUs = parts.reduce((sum, part) => sum + part.durationUs, 0)
    const equal = Math.abs(sumUs - durationUs) <= parts.length
    this.#expect('part-sum', equal, `segment ${msn} lasts ${durationUs} us, its parts ${sumUs}`)
  }

  #checkFollows(before: ReadSegment | undefined, segment: ReadSegment): void {
    if (before === undefined || segment.discontinuity) return
    const { msn } = segment
    this.#expect('map', before.map === segment.map, `segment ${msn} changes the map in mid-air`)
    if (before.pdtMs === undefined || segment.pdtMs === undefined) return
    const expectedMs = before.pdtMs + lengthOf(before) / 1_000
    const offMs = Math.abs(expectedMs - segment.pdtMs)
    this.#expect('date', offMs <= this.#dateToleranceMs, `segment ${msn} is ${offMs} ms off`)
  }

  #checkEnd(playlist: ReadPlaylist): void {
    const hints = playlist.tags.get('EXT-X-PRELOAD-HINT') ?? []
    if (playlist.tags.has('EXT-X-ENDLIST')) {
      this.#expect('hint', hints.length === 0, 'a hint after the end')
      const open = playlist.segments.some((segment) => segment.uri === undefined)
      this.#expect('endlist', !open, 'an open segment after the end')
      return
    }
    if (this.#captions) {
      this.#expect('hint', hints.length === 0, 'captions hint at parts')
      return
    }
    const hint = attributesOf(hints[0] ?? '')
    const last = playlist.segments.at(-1)
    const open = last?.uri === undefined
    const msn = last === undefined ? playlist.mediaSequence : last.msn + (open ? 0 : 1)
    const name = `${msn}.${open ? (last?.parts.length ?? 0) : 0}.m4s`
    const isPart = hints.length === 1 && hint.get('TYPE') === 'PART'
    this.#expect(
      'hint',
      isPart && hint.get('URI') === name,
      `hints ${hint.get('URI')}, not ${name}`,
    )
    for (const text of playlist.tags.get('EXT-X-RENDITION-REPORT') ?? []) {
      const report = attributesOf(text)
      const numbers = [report.get('LAST-MSN'), report.get('LAST-PART')]
      const wellFormed = numbers.every((number) => /^\d+$/.test(number ?? ''))
      this.#expect('reports', wellFormed && report.has('URI'), `a malformed report: ${text}`)
    }
  }

  #checkSince(before: ReadPlaylist, now: ReadPlaylist): void {
    const removed = now.mediaSequence - before.mediaSequence
    this.#expect('sequence', removed >= 0, 'the media sequence number goes back')
    const gone = before.segments.slice(0, Math.max(0, removed))
    const left = gone.filter((segment) => segment.discontinuity).length
    this.#expect(
      'discontinuity-sequence',
      removed > before.segments.length ||
        now.discontinuitySequence === before.discontinuitySequence + left,
      `it is ${now.discontinuitySequence}, not ${before.discontinuitySequence + left}`,
    )
    const remainsUs = now.segments.reduce((sum, segment) => sum + lengthOf(segment), 0)
    const enough = removed <= 0 || remainsUs >= 3 * now.targetDurationUs
    this.#expect('removal', enough, 'fewer than three target durations remain')
    const sameTarget = now.targetDurationUs === before.targetDurationUs
    this.#expect('targets', sameTarget, 'the target duration changes')
    const byMsn = new Map(now.segments.map((segment) => [segment.msn, segment]))
    for (const old of before.segments.slice(Math.max(0, removed))) {
      const same = byMsn.get(old.msn)
      this.#expect('removal', same !== undefined, `segment ${old.msn} vanishes from the middle`)
      if (same !== undefined) this.#checkUnchanged(old, same)
    }
    if (before.tags.has('EXT-X-ENDLIST')) {
      const stays = now.tags.has('EXT-X-ENDLIST')
      const added = now.segments.at(-1)?.msn !== before.segments.at(-1)?.msn
      this.#expect('endlist', stays && !added, 'the playlist goes on after its end')
    }
    this.#checkReports(before, now)
  }

  #checkReports(before: ReadPlaylist, now: ReadPlaylist): void {
    const positions = (playlist: ReadPlaylist): Map<string, number> =>
      new Map(
        (playlist.tags.get('EXT-X-RENDITION-REPORT') ?? []).map((text) => {
          const report = attributesOf(text)
          const position = Number(report.get('LAST-MSN')) * 1e6 + Number(report.get('LAST-PART'))
          return [report.get('URI') ?? '', position]
        }),
      )
    const earlier = positions(before)
    for (const [uri, position] of positions(now)) {
      this.#expect('reports', position >= (earlier.get(uri) ?? 0), `the report of ${uri} goes back`)
    }
  }

  #checkUnchanged(old: ReadSegment, now: ReadSegment): void {
    const { msn } = old
    const facts = (segment: ReadSegment): unknown[] => [
      segment.pdtMs,
      segment.discontinuity,
      segment.map,
      ...(old.uri === undefined ? [] : [segment.uri, segment.durationUs, segment.digest]),
    ]
    const same = JSON.stringify(facts(old)) === JSON.stringify(facts(now))
    this.#expect('immutable', same, `segment ${msn} changes`)
    if (now.parts.length === 0) {
      this.#expect('immutable', old.uri !== undefined, `open segment ${msn} loses its parts`)
      return
    }
    const kept = now.parts.slice(0, old.parts.length)
    const whole = old.uri === undefined || old.parts.length === now.parts.length
    const prefix = JSON.stringify(kept) === JSON.stringify(old.parts)
    this.#expect('immutable', prefix && (whole || old.parts.length === 0), `parts of ${msn} change`)
  }

  #expect(rule: string, holds: boolean, message: string): void {
    if (!holds) this.findings.push({ rule, message })
  }
}

/** The full playlist that a delta update stands for, given the full playlist loaded before it (RFC 8216bis 6.3.7). */
export function applyDelta(previous: string, delta: string): string {
  const before = readPlaylist(previous)
  const update = readPlaylist(delta)
  const from = update.mediaSequence
  const kept = before.segments.filter(
    ({ msn, uri }) => msn >= from && msn < from + update.skipped && uri !== undefined,
  )
  // Parts of a skipped segment are past the age at which the full playlist still lists them.
  const skipped = kept.flatMap(({ lines, map }, index) => {
    const visible = lines.filter((line) => !line.startsWith('#EXT-X-PART:'))
    const hasMap = lines.some((line) => line.startsWith('#EXT-X-MAP:'))
    if (index > 0 || hasMap) return visible
    const at = visible[0] === '#EXT-X-DISCONTINUITY' ? 1 : 0
    return [...visible.slice(0, at), `#EXT-X-MAP:URI="${map}"`, ...visible.slice(at)]
  })
  const rest = update.segments.flatMap(({ lines }) => lines)
  return [...update.head, ...skipped, ...rest, ...update.tail, ''].join('\n')
}

/** Microseconds of a segment, or of the parts of an open one. */
function lengthOf(segment: ReadSegment): number {
  if (segment.uri !== undefined) return segment.durationUs
  return segment.parts.reduce((sum, part) => sum + part.durationUs, 0)
}
