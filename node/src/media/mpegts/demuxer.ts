/**
 * Takes an MPEG transport stream (ISO/IEC 13818-1) apart: bytes go in, configurations and access units come out. Nothing here
 * waits or keeps time; everything that a stream may make it hold is bounded by mpegtsLimits.
 */
import { KairoError } from '../../errors.ts'
import { codecLimits } from '../../limits/codecs.ts'
import { mpegtsLimits } from '../../limits/mpegts.ts'
import { AacReader } from './aac-reader.ts'
import { ContinuityWatch } from './continuity.ts'
import { OpusReader } from './opus-reader.ts'
import { PACKET_BYTES, readTransportPacket, SYNC_BYTE, type TransportPacket } from './packet.ts'
import { PesAssembler } from './pes-assembler.ts'
import { type ProgramEntry, readPat, readPmt, type StreamEntry } from './program-tables.ts'
import { SectionReader } from './section-reader.ts'
import { type StreamKind, streamKind, supportedInTransportStreams } from './stream-kind.ts'
import { ProgramClock, type TrackReader, type TransportHandler } from './track-reader.ts'
import { VideoReader } from './video-reader.ts'

const PAT_PID = 0
/** Packets of one PID after which its counter is where it was: a loss of that many cannot be seen by it. */
const COUNTER_PERIOD = 16

type TrackKind = Extract<StreamKind, { kind: 'video' | 'audio' }>

interface TableRoute {
  readonly sections: SectionReader
  readonly continuity: ContinuityWatch
}

interface TrackRoute {
  readonly kind: TrackKind
  readonly track: number
  readonly reader: TrackReader
  readonly assembler: PesAssembler
  readonly continuity: ContinuityWatch
}

/** Demultiplexes one stream. Methods throw KairoError `ERR_UNSUPPORTED_CODEC` and `ERR_PROTOCOL`, after which it is of no use. */
export class TransportDemuxer {
  readonly #handler: TransportHandler
  readonly #clock = new ProgramClock()
  readonly #pat: TableRoute = newTableRoute()
  #program: ProgramEntry | undefined
  #pmt: TableRoute = newTableRoute()
  /** The map in force, to tell a repeated one from a changed one. */
  #map: Buffer | undefined
  readonly #tracks = new Map<number, TrackRoute>()
  /** The beginning of a packet that ends in the next piece. */
  #carry: Buffer = Buffer.alloc(0)
  #garbageBytes = 0
  #bytesWithoutTracks = 0
  #scrambledInRow = 0

  constructor(handler: TransportHandler) {
    this.#handler = handler
  }

  /** Takes the next bytes, in pieces of any size. They are not kept beyond the call. */
  push(input: Buffer): void {
    const bytes = this.#carry.byteLength === 0 ? input : Buffer.concat([this.#carry, input])
    let offset = 0
    while (bytes.byteLength - offset >= PACKET_BYTES) {
      if (bytes[offset] !== SYNC_BYTE) {
        offset = this.#resync(bytes, offset)
        continue
      }
      const packet = readTransportPacket(bytes, offset)
      offset += PACKET_BYTES
      if (packet === undefined) {
        this.#garbage(PACKET_BYTES)
        continue
      }
      this.#garbageBytes = 0
      this.#packet(packet)
    }
    this.#carry = Buffer.from(bytes.subarray(offset))
    this.#expectTracks(input.byteLength)
  }

  /** Says that up to `bytes` bytes are missing before the next piece. */
  gap(bytes: number): void {
    this.#carry = Buffer.alloc(0)
    // Fewer packets than the counters' period are found missing by the counters, of the PIDs that they belong to.
    if (bytes < COUNTER_PERIOD * PACKET_BYTES) return
    this.#pmt.sections.reset()
    this.#pat.sections.reset()
    for (const route of this.#tracks.values()) loseOn(route)
  }

  /** The stream is over: what is complete comes out. */
  end(): void {
    for (const { assembler } of this.#tracks.values()) assembler.end()
  }

  #packet(packet: TransportPacket): void {
    if (packet.payload === undefined) return
    if (packet.pid === PAT_PID) this.#table(this.#pat, packet, (section) => this.#readPat(section))
    else if (packet.pid === this.#program?.mapPid) {
      this.#table(this.#pmt, packet, (section) => this.#readPmt(section))
    } else {
      const route = this.#tracks.get(packet.pid)
      if (route !== undefined) this.#trackPacket(route, packet, packet.payload)
    }
  }

  #table(route: TableRoute, packet: TransportPacket, read: (section: Buffer) => void): void {
    const { payload, unitStart } = packet
    const continuity = route.continuity.check(packet)
    if (continuity === 'repeated' || payload === undefined) return
    if (continuity === 'lost') route.sections.reset()
    for (const section of route.sections.push(payload, unitStart)) read(section)
  }

  #trackPacket(route: TrackRoute, packet: TransportPacket, payload: Buffer): void {
    const continuity = route.continuity.check(packet)
    if (continuity === 'repeated') return
    if (continuity === 'lost') loseOn(route)
    if (packet.scrambled) {
      this.#scrambled(route)
      return
    }
    this.#scrambledInRow = 0
    route.assembler.push(payload, packet.unitStart)
  }

  #scrambled(route: TrackRoute): void {
    this.#scrambledInRow += 1
    if (this.#scrambledInRow > mpegtsLimits.scrambledPacketsMax) {
      throw new KairoError(
        'ERR_UNSUPPORTED_CODEC',
        'the transport stream is scrambled; send it in the clear',
      )
    }
    this.#handler.dropped('scrambled')
    loseOn(route)
  }

  #readPat(section: Buffer): void {
    const programs = readPat(section)
    const current = this.#program
    if (programs === undefined) return
    if (
      programs.some(({ number, mapPid }) => current?.number === number && current.mapPid === mapPid)
    ) {
      return
    }
    const [first] = programs
    if (first === undefined) return
    this.#program = first
    this.#pmt = newTableRoute()
    this.#map = undefined
  }

  #readPmt(section: Buffer): void {
    if (this.#program === undefined || this.#map?.equals(section)) return
    const streams = readPmt(section, this.#program.number)
    if (streams === undefined) return
    this.#map = section
    this.#setTracks(streams)
  }

  /** Begins the tracks of a new map, and goes on with those that it shares with the one before. */
  #setTracks(streams: readonly StreamEntry[]): void {
    const kinds = streams.map((stream) => ({ pid: stream.pid, kind: streamKind(stream) }))
    const wanted = this.#choose(kinds)
    for (const [pid, route] of this.#tracks) {
      if (sameKind(route.kind, wanted.get(pid))) continue
      route.assembler.flush()
      this.#tracks.delete(pid)
    }
    for (const [pid, kind] of wanted) {
      if (!this.#tracks.has(pid)) this.#tracks.set(pid, this.#newRoute(kind))
    }
    const has = (wantedKind: string): boolean =>
      [...wanted.values()].some(({ kind }) => kind === wantedKind)
    this.#handler.tracks({ video: has('video'), audio: has('audio') })
  }

  /** The streams that become tracks: the first picture and every sound, as far as they are taken. */
  #choose(
    streams: readonly { readonly pid: number; readonly kind: StreamKind }[],
  ): ReadonlyMap<number, TrackKind> {
    const wanted = new Map<number, TrackKind>()
    const counts = { video: 0, audio: 0 }
    const refused = new Map<'video' | 'audio', string>()
    for (const { pid, kind } of streams) {
      if (kind.kind === 'data') continue
      if (kind.kind === 'unsupported') {
        refused.set(kind.media, kind.name)
        continue
      }
      const max = kind.kind === 'video' ? 1 : codecLimits.tracksMax
      if (counts[kind.kind] === max) {
        this.#handler.dropped('extra-track')
        continue
      }
      counts[kind.kind] += 1
      wanted.set(pid, kind)
    }
    for (const [media, name] of refused) {
      if (counts[media] === 0) {
        throw new KairoError(
          'ERR_UNSUPPORTED_CODEC',
          `the publisher sends ${name}; in MPEG-TS this peer takes ${supportedInTransportStreams}`,
        )
      }
      this.#handler.dropped('extra-track')
    }
    return wanted
  }

  #newRoute(kind: TrackKind): TrackRoute {
    const track = this.#freeTrack(kind.kind)
    const reader = this.#newReader(kind, track)
    const assembler = new PesAssembler(
      {
        pes: (packet) => reader.pes(packet),
        pesDropped: (reason) => {
          this.#handler.dropped(reason)
          reader.lost()
        },
      },
      kind.kind === 'audio' ? mpegtsLimits.audioPesBytesMax : mpegtsLimits.pesBytesMax,
    )
    return { kind, track, reader, assembler, continuity: new ContinuityWatch() }
  }

  #newReader(kind: TrackKind, track: number): TrackReader {
    if (kind.kind === 'video') return new VideoReader(this.#handler, this.#clock, kind.codec)
    const { language } = kind
    if (kind.codec === 'aac') {
      return new AacReader(this.#handler, this.#clock, { track, language })
    }
    const { channelConfiguration } = kind
    return new OpusReader(this.#handler, this.#clock, { track, language, channelConfiguration })
  }

  #freeTrack(kind: 'video' | 'audio'): number {
    const taken = new Set(
      [...this.#tracks.values()]
        .filter((route) => route.kind.kind === kind)
        .map(({ track }) => track),
    )
    let track = 0
    while (taken.has(track)) track += 1
    return track
  }

  /** The next place where packets may begin: a sync byte that another one follows at the right distance, as far as one can see. */
  #resync(bytes: Buffer, from: number): number {
    let offset = bytes.indexOf(SYNC_BYTE, from + 1)
    while (offset !== -1) {
      const following = bytes[offset + PACKET_BYTES]
      if (following === undefined || following === SYNC_BYTE) break
      offset = bytes.indexOf(SYNC_BYTE, offset + 1)
    }
    const found = offset === -1 ? bytes.byteLength : offset
    this.#garbage(found - from)
    return found
  }

  #garbage(bytes: number): void {
    this.#garbageBytes += bytes
    if (this.#garbageBytes > mpegtsLimits.garbageBytesMax) {
      throw new KairoError('ERR_PROTOCOL', 'the publisher sends something other than MPEG-TS')
    }
    this.#handler.dropped('garbage')
  }

  #expectTracks(bytes: number): void {
    if (this.#tracks.size > 0) return
    this.#bytesWithoutTracks += bytes
    if (this.#bytesWithoutTracks > mpegtsLimits.tablesBytesMax) {
      throw new KairoError(
        'ERR_PROTOCOL',
        `the transport stream has no program with ${supportedInTransportStreams}`,
      )
    }
  }
}

function newTableRoute(): TableRoute {
  return { sections: new SectionReader(), continuity: new ContinuityWatch() }
}

function loseOn(route: TrackRoute): void {
  route.assembler.lost()
  route.reader.lost()
}

function sameKind(a: TrackKind, b: TrackKind | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
