/** The admin page for an operator whose token the peer accepts. */

import { Api, ApiError } from '../shared/api.ts'
import { announce, type Component, h } from '../shared/dom.ts'
import { type Poll, poll } from '../shared/poll.ts'
import { createAddresses } from './addresses.ts'
import { createCache } from './cache/cache.ts'
import { createDoctor } from './doctor.ts'
import { createFailureNotice, type FailureNotice } from './failure-notice.ts'
import { createKeys } from './keys.ts'
import { createKnownPeers } from './known-peers.ts'
import { createMediaChildren } from './media-children.ts'
import { createNetwork } from './network.ts'
import { createOverview } from './overview.ts'
import { createRegion } from './region/region.ts'
import { createSettings } from './settings.ts'
import { createStorage } from './storage/storage.ts'
import { type Change, createStreams } from './streams.ts'
import { createTranscoding } from './transcoding.ts'
import { createVideos } from './videos.ts'
import { createWebhooks } from './webhooks.ts'

const statusMs = 2_000
/** Keys and host rules change by hand only, restream targets and figures by themselves. */
const keysMs = 4_000
/** The doctor tries encoders in a child process, so it is asked rarely. */
const doctorMs = 10 * 60_000

/** Polls that a change asks again; the doctor's is the next. */
const quickPolls = 8

/** What the dashboard tells its page. */
export interface DashboardInit {
  readonly token: string
  /** The peer does not accept the token any more. */
  readonly onRefused: () => void
  /** Whether the last poll was answered. */
  readonly onReachable: (reachable: boolean) => void
}

/** Creates the dashboard and starts to poll. */
export function createDashboard(init: DashboardInit): Component {
  const api = new Api(init.token)
  const notice = createFailureNotice()
  const outcome: Outcome = {
    fail: (source, error) => {
      if (error instanceof ApiError && error.status === 401) init.onRefused()
      else notice.fail(source, error)
    },
    well: notice.well,
  }
  const polls: Poll[] = []
  const change: Change = async (work, onProblem) => {
    try {
      await work()
      outcome.well(change)
      announce('Done')
    } catch (error) {
      const isRefused = error instanceof ApiError && error.status === 401
      if (onProblem === undefined || isRefused) outcome.fail(change, error)
      else onProblem(error instanceof Error ? error.message : String(error))
    }
    for (const each of polls.slice(0, quickPolls)) each.now()
  }
  const parts = createParts(api, change, () => {
    parts.doctor.update(undefined)
    polls[quickPolls]?.now()
  })
  polls.push(...startPolls(api, parts, outcome, init.onReachable))
  return {
    element: h(
      'div',
      { class: 'dashboard' },
      notice.element,
      parts.overview.element,
      h(
        'div',
        { class: 'columns' },
        h(
          'div',
          {},
          parts.streams.element,
          parts.transcoding.element,
          parts.keys.element,
          parts.videos.element,
          parts.cache.element,
          parts.storage.element,
          parts.doctor.element,
        ),
        h(
          'div',
          {},
          parts.addresses.element,
          parts.children.element,
          parts.network.element,
          parts.knownPeers.element,
          parts.region.element,
          parts.webhooks.element,
          parts.settings.element,
        ),
      ),
    ),
    update: () => {},
    dispose: () => {
      for (const each of polls) each.stop()
      for (const part of Object.values(parts)) part.dispose()
    },
  }
}

type Parts = ReturnType<typeof createParts>

function createParts(api: Api, change: Change, checkAgain: () => void) {
  return {
    overview: createOverview(),
    addresses: createAddresses(),
    streams: createStreams(api, change),
    transcoding: createTranscoding(),
    keys: createKeys(api, change),
    videos: createVideos(api, change),
    children: createMediaChildren(),
    cache: createCache(api, change),
    storage: createStorage(api, change),
    region: createRegion(api, change),
    network: createNetwork(),
    knownPeers: createKnownPeers(),
    webhooks: createWebhooks(api, change),
    settings: createSettings(),
    doctor: createDoctor(checkAgain),
  }
}

/** Takes what became of a poll or a change. */
type Outcome = Pick<FailureNotice, 'fail' | 'well'>

/** The polls in the order that {@link quickPolls} counts by. */
function startPolls(
  api: Api,
  parts: Parts,
  outcome: Outcome,
  onReachable: (reachable: boolean) => void,
): Poll[] {
  const { overview, addresses, network, children, streams } = parts
  const every = <T>(
    intervalMs: number,
    ask: () => Promise<T>,
    onData: (data: T) => void,
    onError: (error: unknown) => void = () => {},
  ) => {
    const source = {}
    return poll({
      ...{ intervalMs, ask },
      onData: (data: T) => {
        outcome.well(source)
        onData(data)
      },
      onError: (error) => {
        onError(error)
        // That the peer does not answer at all stands at the head of the page.
        if (!isUnreachable(error)) outcome.fail(source, error)
      },
    })
  }
  return [
    every(
      statusMs,
      () => Promise.all([api.status(), api.recordings(), api.pulls()]),
      ([status, recordings, pulls]) => {
        onReachable(true)
        for (const part of [overview, addresses, network, children]) part.update(status)
        streams.update({ status, recordings, pulls })
      },
      (error) => onReachable(!isUnreachable(error)),
    ),
    every(
      keysMs,
      () => Promise.all([api.keys(), api.presets(), api.restreaming()]),
      ([keys, presets, restreaming]) => parts.keys.update({ keys, presets, restreaming }),
    ),
    every(statusMs, () => api.library(), parts.videos.update),
    every(statusMs, () => api.transcoding(), parts.transcoding.update),
    every(keysMs, () => api.webhooks(), parts.webhooks.update),
    every(
      keysMs,
      () => Promise.all([api.metrics(), parts.cache.ask(), parts.storage.ask()]),
      ([metrics, cache, storage]) => {
        parts.cache.update({ ...cache, metrics })
        parts.storage.update({ ...storage, metrics })
      },
    ),
    every(
      keysMs,
      () => Promise.all([api.knownPeers(), api.nearest()]),
      ([known, nearest]) => parts.knownPeers.update({ known, nearest }),
    ),
    every(keysMs, parts.region.ask, parts.region.update, parts.region.fail),
    every(doctorMs, () => api.doctor(), parts.doctor.update),
    every(doctorMs, () => api.config(), parts.settings.update),
  ]
}

function isUnreachable(error: unknown): boolean {
  return error instanceof ApiError && error.status === 0
}
