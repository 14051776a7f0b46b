/** Makes sprites for scrubbing: one small picture at each interval, from the keyframe before it, ten by ten in a JPEG. */
import { AV_PIX_FMT_YUVJ420P } from 'node-av/constants'
import { FFmpegError, Frame, type Packet } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import { TICKS_PER_MS } from '../../access-unit.ts'
import { FilterChain } from '../av/filter-chain.ts'
import { pictureSource } from '../av/frame-source.ts'
import { JpegEncoder } from '../av/jpeg-encoder.ts'
import type { JobContext } from '../context.ts'
import { FileInput, ptsOf } from '../file/file-input.ts'
import { StreamDecoder } from '../file/stream-decoder.ts'
import { TurnedPictures } from '../file/turned-pictures.ts'
import type { Json, StoryboardJob } from '../job.ts'

/** Fine enough for pictures of a thumb's size. */
const QUANTISER = 5

/** Runs the job; its result tells the number of sprites. */
export async function run(context: JobContext, job: StoryboardJob): Promise<Json> {
  const input = FileInput.open(job.path)
  const stream = input.streams[job.videoStream]
  if (stream === undefined) throw new KairoError('ERR_MEDIA', 'the file has no such stream')
  input.select([job.videoStream])
  const sheet = new Sheet(context, job)
  const turned = new TurnedPictures(job.rotation)
  const latest = new Frame()
  latest.alloc()
  let hasPicture = false
  const decoder = new StreamDecoder({
    ...{ stream, threads: 1, origin: job.origin },
    onFrame: (frame) =>
      turned.push(frame, (picture) => {
        latest.unref()
        latest.ref(picture)
        hasPicture = true
      }),
    onDamaged: () => {
      context.counters.damaged += 1
    },
  })
  try {
    let keyframe = Number.NaN
    for (let index = 0; index < job.count; index++) {
      const target = index * job.intervalMs * TICKS_PER_MS + job.origin
      // A container that cannot seek goes on from where it is.
      input.seek(stream, target)
      const found = nextKeyframe(input, job.videoStream)
      if (found !== undefined && ptsOf(found, stream) !== keyframe) {
        keyframe = ptsOf(found, stream) ?? Number.NaN
        decoder.decode(found)
        decoder.decode(null)
        decoder.reset()
      }
      if (hasPicture) sheet.add(latest)
      context.counters.position = target - job.origin
      await context.turn()
    }
    if (!hasPicture) throw new KairoError('ERR_MEDIA', 'no keyframe of the file can be decoded')
    return { sprites: sheet.finish() }
  } finally {
    decoder.close()
    turned.close()
    latest.free()
    sheet.close()
    input.close()
  }
}

function nextKeyframe(input: FileInput, streamIndex: number): Packet | undefined {
  for (let packet = input.next(); packet !== undefined; packet = input.next()) {
    if (packet.streamIndex === streamIndex && packet.isKeyframe) return packet
  }
  return undefined
}

/** Lays pictures out and encodes each full sheet. */
class Sheet {
  readonly #context: JobContext
  readonly #job: StoryboardJob
  readonly #scratch = new Frame()
  readonly #out = new Frame()
  readonly #jpeg: JpegEncoder
  #chain: FilterChain | undefined
  #shape = ''
  #added = 0
  #sprites = 0
  #sheet: Frame | undefined

  constructor(context: JobContext, job: StoryboardJob) {
    this.#context = context
    this.#job = job
    this.#scratch.alloc()
    this.#out.alloc()
    this.#jpeg = new JpegEncoder({
      width: job.columns * job.width,
      height: job.rows * job.height,
      quantiserMin: QUANTISER,
      quantiserMax: QUANTISER,
    })
  }

  /** Takes the next picture, which stays the caller's. */
  add(picture: Frame): void {
    FFmpegError.throwIfError(this.#scratch.ref(picture), 'reference a picture')
    this.#scratch.pts = BigInt(this.#added)
    this.#chainFor(picture).push(this.#scratch, this.#out, (small) => this.#place(small))
  }

  /** Encodes what is left; returns how many sprites there are. */
  finish(): number {
    this.#flush()
    return this.#sprites
  }

  close(): void {
    this.#chain?.free()
    this.#sheet?.free()
    this.#scratch.free()
    this.#out.free()
    this.#jpeg.close()
  }

  #chainFor(picture: Frame): FilterChain {
    const source = pictureSource(picture)
    if (this.#chain !== undefined && source[1] === this.#shape) return this.#chain
    const { width, height } = this.#job
    this.#chain?.free()
    this.#shape = source[1]
    this.#chain = new FilterChain(
      source,
      [
        ['scale', `w=${width}:h=${height}:flags=bilinear:out_range=pc`],
        ['format', 'pix_fmts=yuvj420p'],
      ],
      1,
    )
    return this.#chain
  }

  #place(small: Frame): void {
    const { columns, rows, width, height } = this.#job
    this.#sheet ??= this.#blank()
    const cell = this.#added % (columns * rows)
    const left = (cell % columns) * width
    const top = Math.floor(cell / columns) * height
    for (const plane of [0, 1, 2]) {
      const shift = plane === 0 ? 0 : 1
      const from = small.data?.[plane]
      const to = this.#sheet.data?.[plane]
      if (from === undefined || to === undefined) continue
      const fromStride = small.linesize[plane] ?? 0
      const toStride = this.#sheet.linesize[plane] ?? 0
      for (let row = 0; row < height >> shift; row++) {
        const at = ((top >> shift) + row) * toStride + (left >> shift)
        from.copy(to, at, row * fromStride, row * fromStride + (width >> shift))
      }
    }
    this.#added += 1
    if (this.#added % (columns * rows) === 0) this.#flush()
  }

  #blank(): Frame {
    const { columns, rows, width, height } = this.#job
    const sheet = new Frame()
    sheet.alloc()
    sheet.format = AV_PIX_FMT_YUVJ420P
    sheet.width = columns * width
    sheet.height = rows * height
    FFmpegError.throwIfError(sheet.getBuffer(0), 'getBuffer')
    for (const [plane, bytes] of (sheet.data ?? []).entries()) bytes.fill(plane === 0 ? 0 : 128)
    return sheet
  }

  #flush(): void {
    const sheet = this.#sheet
    if (sheet === undefined) return
    this.#sheet = undefined
    try {
      this.#context.blob({ sprite: this.#sprites }, this.#jpeg.encode(sheet))
      this.#sprites += 1
    } finally {
      sheet.free()
    }
  }
}
