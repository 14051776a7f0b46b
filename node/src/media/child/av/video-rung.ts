/** One rung of pictures: takes the source's pictures, chooses, scales and colours them, and encodes them. */
import { AV_FRAME_DATA_A53_CC, AV_HWDEVICE_TYPE_VAAPI } from 'node-av/constants'
import { FFmpegError, Frame, HardwareDeviceContext } from 'node-av/lib'
import { KairoError } from '../../../errors.ts'
import type { AccessUnit, TrackConfig, VideoColour } from '../../access-unit.ts'
import { BT709, UNSPECIFIED, videoRangeOf } from '../../codecs/video-signal.ts'
import type { VideoRung } from '../../ladder/rung.ts'
import { type EncoderOptions, encoderOptions } from './encoder-options.ts'
import { FilterChain, type FilterStep } from './filter-chain.ts'
import { pictureSource, pixelAspectOf } from './frame-source.ts'
import { PictureSelector } from './picture-selector.ts'
import { VideoEncoder } from './video-encoder.ts'

/** How a {@link VideoRungEncoder} is built. */
export interface VideoRungInit {
  readonly rung: VideoRung
  /** Colours of the source. */
  readonly colour: VideoColour | undefined
  /** Pictures a second of the source. */
  readonly frameRate: number
  /** Viewers wait for each picture. */
  readonly live: boolean
  /** Threads of the encoder and of the scaler. */
  readonly threads: number
  /** Where the output goes on, 1/90000 s. */
  readonly resumeAt: number | undefined
  /** Takes what is made; `config` is there with the first unit and where it changes. */
  readonly onUnit: (unit: AccessUnit, config: TrackConfig | undefined) => void
}

/** Shapes that differ by more than this get bars instead of being stretched. */
const SHAPE_TOLERANCE = 0.02

/** Makes one rendition of pictures. */
export class VideoRungEncoder {
  readonly #init: VideoRungInit
  readonly #selector: PictureSelector
  readonly #options: EncoderOptions
  readonly #toneMap: boolean
  readonly #colour: VideoColour
  readonly #scratch = new Frame()
  readonly #out = new Frame()
  #chain: FilterChain | undefined
  /** What the chain was built for; another source needs another chain. */
  #shape = ''
  #device: HardwareDeviceContext | undefined
  #encoder: VideoEncoder | undefined
  /** Caption bytes of pictures that were dropped, for the next one that is taken. */
  #captions: Buffer[] = []

  constructor(init: VideoRungInit) {
    this.#init = init
    const { rung, colour, live, threads } = init
    const hdr = videoRangeOf(colour?.transfer) !== 'SDR'
    this.#toneMap = hdr && rung.dynamicRange === 'sdr'
    this.#colour = this.#toneMap ? BT709 : { ...(colour ?? BT709), fullRange: false }
    this.#options = encoderOptions(rung, {
      colour: this.#colour,
      tenBit: hdr && !this.#toneMap,
      live,
      threads,
    })
    this.#selector = new PictureSelector({ frameRate: rung.frameRate, resumeAt: init.resumeAt })
    this.#scratch.alloc()
    this.#out.alloc()
  }

  /**
   * Takes a decoded picture, which stays the caller's. `pts` is its presentation, 1/90000 s; `keyframe` asks for one here.
   * @throws KairoError `ERR_WORKER` naming the encoder when that fails.
   */
  encode(picture: Frame, pts: number, keyframe: boolean): void {
    const selection = this.#selector.select(pts, keyframe)
    if (selection === 'skip') return
    if (selection === 'drop') {
      const captions = picture.getSideData(AV_FRAME_DATA_A53_CC)
      if (captions !== null) this.#captions.push(Buffer.from(captions))
      return
    }
    const scratch = this.#scratch
    FFmpegError.throwIfError(scratch.ref(picture), 'reference a picture')
    scratch.pts = BigInt(pts)
    this.#colourIn(scratch)
    this.#addCaptions(scratch)
    this.#chainFor(scratch).push(scratch, this.#out, (frame) => {
      this.#encoder ??= new VideoEncoder(
        {
          rung: this.#init.rung,
          encoderOptions: this.#options,
          colour: this.#colour,
          frameRate: this.#init.rung.frameRate ?? this.#init.frameRate,
          threads: this.#init.threads,
          onUnit: this.#init.onUnit,
        },
        frame,
      )
      this.#encoder.encode(frame, keyframe || selection === 'begin')
    })
  }

  /** Hands out what is still in work. */
  finish(): void {
    this.#encoder?.finish()
  }

  close(): void {
    this.#encoder?.close()
    this.#chain?.free()
    this.#device?.free()
    this.#scratch.free()
    this.#out.free()
  }

  /** Publishers may tell colours beside the bitstream, which then says nothing of them. */
  #colourIn(frame: Frame): void {
    const colour = this.#init.colour
    if (colour === undefined || frame.colorTrc !== UNSPECIFIED) return
    frame.colorPrimaries = colour.primaries as Frame['colorPrimaries']
    frame.colorTrc = colour.transfer as Frame['colorTrc']
    frame.colorSpace = colour.matrix as Frame['colorSpace']
  }

  #addCaptions(frame: Frame): void {
    if (this.#captions.length === 0) return
    const own = frame.getSideData(AV_FRAME_DATA_A53_CC)
    const all = Buffer.concat([...this.#captions, ...(own === null ? [] : [own])])
    this.#captions = []
    frame.removeSideData(AV_FRAME_DATA_A53_CC)
    frame.newSideData(AV_FRAME_DATA_A53_CC, all.byteLength).set(all)
  }

  #chainFor(frame: Frame): FilterChain {
    const source = pictureSource(frame)
    if (this.#chain !== undefined && source[1] === this.#shape) return this.#chain
    this.#chain?.free()
    this.#shape = source[1]
    const { num, den } = pixelAspectOf(frame)
    const shown = (frame.width * num) / den / frame.height
    this.#chain = new FilterChain(
      source,
      this.#steps(shown),
      this.#init.threads,
      this.#openDevice(),
    )
    return this.#chain
  }

  /** `shown`: width by height of the source as it is to be seen. */
  #steps(shown: number): FilterStep[] {
    const { width, height } = this.#init.rung
    const { pixelFormat, upload } = this.#options
    const stretched = Math.abs(shown / (width / height) - 1) > SHAPE_TOLERANCE
    const scale = `w=${width}:h=${height}:flags=bicubic:out_range=tv`
    const steps: FilterStep[] = []
    // A source that changes its shape within a stream keeps the rendition's, with bars.
    if (stretched) {
      steps.push(
        ['scale', `${scale}:force_original_aspect_ratio=decrease:reset_sar=1`],
        ['pad', `w=${width}:h=${height}:x=-1:y=-1`],
      )
    } else steps.push(['scale', scale])
    if (this.#toneMap) {
      steps.push(['tonemapx', 'tonemap=bt2390:t=bt709:m=bt709:p=bt709:r=tv:format=yuv420p'])
    }
    steps.push(['format', `pix_fmts=${pixelFormat}`])
    if (upload !== undefined) steps.push(['hwupload', ''])
    return steps
  }

  #openDevice(): HardwareDeviceContext | undefined {
    if (this.#options.upload === undefined || this.#device !== undefined) return this.#device
    const device = new HardwareDeviceContext()
    const result = device.create(AV_HWDEVICE_TYPE_VAAPI)
    if (result < 0) {
      const { encoder, name } = this.#init.rung
      const cause = FFmpegError.fromCode(result)
      throw new KairoError(
        'ERR_WORKER',
        `the encoder ${encoder} of ${name}: its device does not open: ${cause?.message}`,
        { cause },
      )
    }
    this.#device = device
    return device
  }
}
