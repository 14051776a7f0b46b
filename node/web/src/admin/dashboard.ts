/** The admin page for an operator whose token the peer accepts. */

import { Api, ApiError } from '../shared/api.ts'
import { announce, type Component, h, setText } from '../shared/dom.ts'
import { icon } from '../shared/icon.ts'
import { type Poll, poll } from '../shared/poll.ts'
import { createAddresses } from './addresses.ts'
import { createDoctor } from './doctor.ts'
import { createKeys } from './keys.ts'
import { createNetwork } from './network.ts'
import { createOverview } from './overview.ts'
import { createSettings } from './settings.ts'
import { type Change, createStreams } from './streams.ts'

const statusMs = 2_000
/** Keys and settings change by hand only. */
const keysMs = 10_000
/** The doctor tries encoders in a child process, so it is asked rarely. */
const doctorMs = 10 * 60_000

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
  const failure = h('p', { class: 'notice notice-fail', role: 'alert', hidden: true })
  const failureText = h('span')
  failure.append(icon('alert'), failureText)
  const fail = (error: unknown) => {
    if (error instanceof ApiError && error.status === 401) return init.onRefused()
    setText(failureText, error instanceof Error ? error.message : String(error))
    failure.hidden = false
  }
  const polls: Poll[] = []
  const change: Change = async (work) => {
    try {
      await work()
      failure.hidden = true
      announce('Done')
    } catch (error) {
      fail(error)
    }
    for (const each of polls.slice(0, 2)) each.now()
  }
  const overview = createOverview()
  const addresses = createAddresses()
  const streams = createStreams(api, change)
  const keys = createKeys(api, change)
  const network = createNetwork()
  const settings = createSettings()
  const doctor = createDoctor(() => {
    doctor.update(undefined)
    polls[2]?.now()
  })
  const fromStatus = [overview, addresses, streams, network]
  polls.push(
    poll({
      intervalMs: statusMs,
      ask: () => api.status(),
      onData: (status) => {
        init.onReachable(true)
        for (const part of fromStatus) part.update(status)
      },
      onError: (error) => {
        init.onReachable(!(error instanceof ApiError && error.status === 0))
        if (error instanceof ApiError && error.status !== 0) fail(error)
      },
    }),
    poll({ intervalMs: keysMs, ask: () => api.keys(), onData: keys.update, onError: fail }),
    poll({ intervalMs: doctorMs, ask: () => api.doctor(), onData: doctor.update, onError: fail }),
    poll({ intervalMs: doctorMs, ask: () => api.config(), onData: settings.update, onError: fail }),
  )
  const parts = [...fromStatus, keys, doctor, settings]
  return {
    element: h(
      'div',
      { class: 'dashboard' },
      failure,
      overview.element,
      h(
        'div',
        { class: 'columns' },
        h('div', {}, streams.element, keys.element, doctor.element),
        h('div', {}, addresses.element, network.element, settings.element),
      ),
    ),
    update: () => {},
    dispose: () => {
      for (const each of polls) each.stop()
      for (const part of parts) part.dispose()
    },
  }
}
