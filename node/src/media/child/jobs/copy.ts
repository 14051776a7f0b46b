/** Copies tracks of a file as they are: out of their container, into units. */
import { AV_PKT_FLAG_CORRUPT } from 'node-av/constants'
import type { Packet, Stream } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { TICKS_PER_SECOND } from '../../access-unit.ts'
import { codecOf } from '../av/codecs.ts'
import { PacketReader } from '../av/packet-reader.ts'
import type { JobContext } from '../context.ts'
import { FileInput } from '../file/file-input.ts'
import type { CopyJob, Json } from '../job.ts'

/** Pictures may be shown this long before the keyframe that they are decoded after. */
const LEADING_TICKS_MAX = TICKS_PER_SECOND

/** Runs the job; its result tells the units of each output. */
export async function run(context: JobContext, job: CopyJob): Promise<Json> {
  const input = FileInput.open(job.path)
  try {
    const tracks = new Map<number, Track>()
    for (const [output, index] of job.streams.entries()) {
      const stream = input.streams[index]
      if (stream === undefined) throw new KairoError('ERR_MEDIA', `the file has no stream ${index}`)
      tracks.set(index, new Track(context, stream, output, job.origin))
    }
    input.select(job.streams)
    for (let packet = input.next(); packet !== undefined; packet = input.next()) {
      tracks.get(packet.streamIndex)?.take(packet)
      await context.turn()
    }
    return { units: [...tracks.values()].map(({ units }) => units) }
  } finally {
    input.close()
  }
}

/** One track on its way. */
class Track {
  readonly #context: JobContext
  readonly #reader: PacketReader
  readonly #output: number
  readonly #origin: number
  #keyframe = Number.NEGATIVE_INFINITY
  /** First presentation of pictures; those of an open group that come before it cannot be decoded. */
  #from: number | undefined
  units = 0

  constructor(context: JobContext, stream: Stream, output: number, origin: number) {
    const codec = codecOf(stream.codecpar.codecId)
    if (codec === undefined) {
      throw new KairoError('ERR_UNSUPPORTED_CODEC', `stream ${stream.index} cannot be copied`)
    }
    const { extradata } = stream.codecpar
    this.#reader = new PacketReader({ codec, extradata, timeBase: stream.timeBase })
    this.#context = context
    this.#output = output
    this.#origin = origin
  }

  take(packet: Packet): void {
    const { counters } = this.#context
    counters.unitsIn += 1
    const read = this.#reader.read(packet)
    // A piece of a frame would be heard; of a picture, decoders show what there is.
    const isCut = read?.unit.kind === 'audio' && packet.hasFlags(AV_PKT_FLAG_CORRUPT)
    if (read === undefined || isCut) {
      counters.damaged += 1
      return
    }
    if (read.config !== undefined) this.#context.config(this.#output, read.config)
    const pts = read.unit.pts - this.#origin
    const dts = read.unit.dts - this.#origin
    if (read.unit.kind === 'video' && this.#from === undefined && read.unit.keyframe) {
      this.#from = pts
    }
    if (pts < (read.unit.kind === 'video' ? (this.#from ?? Number.POSITIVE_INFINITY) : 0)) return
    // Time stamps that go back are a damaged file's; pictures of an open group are shown a little before their keyframe.
    if (pts < this.#keyframe - LEADING_TICKS_MAX) {
      counters.damaged += 1
      return
    }
    if (read.unit.keyframe) this.#keyframe = pts
    counters.position = Math.max(counters.position, pts)
    this.units += 1
    this.#context.unit(this.#output, { ...read.unit, pts, dts })
  }
}
