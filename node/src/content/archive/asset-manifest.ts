/** What the library knows of a video on demand, as it is kept in the video's folder: `manifest`, replaced whole. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { KairoError } from '../../errors.ts'
import { replaceFileLater } from '../../files.ts'
import { archiveLimits } from '../../limits/vod.ts'
import { type VodManifest, VodManifestSchema } from '../../protocol/generated/vod_pb.js'
import { type Digest, digestFromBytes, digestToBytes } from '../digest.ts'
import type { RenditionInfo } from '../stream.ts'
import { encodeCheckedRecord, readCheckedRecord } from './checked-record.ts'
import type { CaptionFile, Storyboard } from './presentation.ts'
import { renditionFromMessage, renditionToMessage } from './rendition-codec.ts'

const VERSION = 1
/** Name of the file in a video's folder. */
export const MANIFEST_FILE = 'manifest'

/** How far a video is on its way from a file to something that plays. */
export type AssetState = 'queued' | 'probing' | 'transcoding' | 'ready' | 'failed'

/** A rendition of a finished video. */
export interface AssetRendition {
  readonly info: RenditionInfo
  readonly targetDurationS: number
  /** Segments that its log must have. */
  readonly segments: number
}

/** What other peers are told of the segments. */
export interface AssetPages {
  /** SHA-256 of each page of segments, for each rendition. */
  readonly digests: readonly (readonly Digest[])[]
  /** Of all segments. */
  readonly mediaBytes: number
}

/** Everything about a video but its media. */
export interface AssetManifest {
  readonly id: string
  readonly title: string
  readonly createdAtMs: number
  readonly state: AssetState
  /** Why it failed. */
  readonly error: { readonly code: string; readonly message: string } | undefined
  /** Name of the file in the folder that it is made of; undefined when it is no longer needed. */
  readonly sourceFile: string | undefined
  readonly origin: 'upload' | 'recording'
  /** 0 until it is known. */
  readonly durationUs: number
  readonly renditions: readonly AssetRendition[]
  readonly captions: readonly CaptionFile[]
  readonly storyboard: Storyboard | undefined
  /** Absent until the video is ready, and where its segments cannot be told. */
  readonly pages?: AssetPages | undefined
}

/**
 * Replaces the manifest in a folder: after a crash there is the old one or the new one.
 * @throws the file system's error.
 */
export async function writeManifest(directory: string, manifest: AssetManifest): Promise<void> {
  const bytes = encodeCheckedRecord(toBinary(VodManifestSchema, messageOf(manifest)))
  await replaceFileLater(join(directory, MANIFEST_FILE), bytes)
}

/**
 * The manifest of a folder; undefined when there is none.
 * @throws KairoError `ERR_STORAGE` when it is damaged or of another version.
 */
export async function readManifest(directory: string): Promise<AssetManifest | undefined> {
  let bytes: Buffer
  try {
    bytes = await readFile(join(directory, MANIFEST_FILE))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new KairoError('ERR_STORAGE', 'the manifest of a video cannot be read', { cause: error })
  }
  const record = readCheckedRecord(bytes, 0, archiveLimits.manifestBytesMax)
  if (record === undefined)
    throw new KairoError('ERR_STORAGE', 'the manifest of a video is damaged')
  const message = fromBinary(VodManifestSchema, record.body)
  if (message.version !== VERSION) {
    throw new KairoError('ERR_STORAGE', `a video of version ${message.version} is not known here`)
  }
  return manifestOf(message)
}

function messageOf(manifest: AssetManifest): VodManifest {
  const { id, title, state, origin, storyboard } = manifest
  return create(VodManifestSchema, {
    ...{ version: VERSION, id, title, state, origin },
    createdAtMs: BigInt(manifest.createdAtMs),
    errorCode: manifest.error?.code ?? '',
    error: manifest.error?.message ?? '',
    sourceFile: manifest.sourceFile ?? '',
    durationUs: BigInt(manifest.durationUs),
    mediaBytes: BigInt(manifest.pages?.mediaBytes ?? 0),
    renditions: manifest.renditions.map(({ info, targetDurationS, segments }, index) => ({
      ...{ info: renditionToMessage(info), targetDurationS, segments },
      pages: (manifest.pages?.digests[index] ?? []).map(digestToBytes),
    })),
    captions: manifest.captions.map((one) => ({ ...one, digest: digestToBytes(one.digest) })),
    ...(storyboard === undefined
      ? {}
      : { storyboard: { ...storyboard, sprites: storyboard.sprites.map(digestToBytes) } }),
  })
}

function manifestOf(message: VodManifest): AssetManifest {
  const { id, title, storyboard: board } = message
  return {
    ...{ id, title },
    createdAtMs: Number(message.createdAtMs),
    state: message.state as AssetState,
    error:
      message.errorCode === '' ? undefined : { code: message.errorCode, message: message.error },
    sourceFile: message.sourceFile === '' ? undefined : message.sourceFile,
    origin: message.origin as AssetManifest['origin'],
    durationUs: Number(message.durationUs),
    renditions: message.renditions.flatMap(({ info, targetDurationS, segments }) =>
      info === undefined ? [] : [{ info: renditionFromMessage(info), targetDurationS, segments }],
    ),
    captions: message.captions.map(({ name, language, label, digest }) => ({
      ...{ name, language, label, digest: digestFromBytes(digest) },
    })),
    storyboard: board === undefined ? undefined : storyboardOf(board),
    pages: pagesOf(message),
  }
}

function pagesOf({ mediaBytes, renditions }: VodManifest): AssetPages | undefined {
  if (mediaBytes === 0n) return undefined
  const digests = renditions.map(({ pages }) => pages.map(digestFromBytes))
  return { digests, mediaBytes: Number(mediaBytes) }
}

function storyboardOf(board: NonNullable<VodManifest['storyboard']>): Storyboard {
  const { intervalMs, width, height, columns, rows, count } = board
  const sprites = board.sprites.map(digestFromBytes)
  return { intervalMs, width, height, columns, rows, count, sprites }
}
