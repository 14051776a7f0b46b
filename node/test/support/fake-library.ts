// A library of one packaged clip, for tests of the routes in front of it.

import type { VodRouteComponents } from '../../src/api/vod.ts'
import { KairoError } from '../../src/errors.ts'
import type { VodStatus } from '../../src/vod/vod-status.ts'
import type { PackagedPresentation } from './packaged-presentation.ts'

/** The library as the routes see it, and what they asked of it. */
export interface FakeLibrary {
  readonly library: VodRouteComponents['library']
  readonly calls: string[]
}

/** A network without videos, and this peer. */
export const alone: Pick<VodRouteComponents, 'networkVideos' | 'host'> = {
  networkVideos: { count: 0, known: () => undefined, newest: () => [], status: () => 'away' },
  host: { peerId: 'this peer' },
}

/** A ready clip, and a video `making` that is half done. */
export function fakeLibrary({ presentation }: PackagedPresentation): FakeLibrary {
  const calls: string[] = []
  let { title } = presentation
  const statusOf = (id: string): VodStatus | undefined => {
    const isReady = id === presentation.id
    if (!isReady && id !== 'making') return undefined
    return {
      ...{ id, title: isReady ? title : 'Soon', origin: 'upload', createdAtMs: 1_700_000_000_000 },
      ...{ state: isReady ? 'ready' : 'transcoding', share: isReady ? 1 : 0.5 },
      ...{ speed: isReady ? undefined : 3, etaMs: isReady ? undefined : 1_500, error: undefined },
      ...{ durationUs: presentation.durationUs, bytes: 1_000 },
      renditions: isReady ? presentation.renditions.map(({ info }) => info.name) : [],
    }
  }
  const known = (id: string): VodStatus => {
    const status = statusOf(id)
    if (status === undefined) throw new KairoError('ERR_NOT_FOUND', `no video ${id}`)
    return status
  }
  const noted = (call: string, id: string): VodStatus => {
    calls.push(`${call} ${id}`)
    return known(id)
  }
  return {
    calls,
    library: {
      status: statusOf,
      statuses: () => [known(presentation.id), known('making')],
      get: (id) => (id === presentation.id ? { ...presentation, title } : undefined),
      usage: () => ({ bytes: 2_000, bytesMax: 10_000, bytesFree: 8_000 }),
      rename: async (id, wanted) => {
        title = wanted
        return noted('rename', id)
      },
      remove: async (id) => void noted('remove', id),
      retry: async (id) => noted('retry', id),
      addCaptions: async (id, language, label, vtt) =>
        noted(`captions ${language} ${label} ${vtt.length}`, id),
    },
  }
}
