/**
 * Joining: keeps this peer connected to the addresses it was given, for its whole life, and finds the network again from
 * memory (`redial.ts`). This is the one layer that retries a connection; a target that is down at first is reported and tried again.
 */
import { strict as assert } from 'node:assert'
import { EventEmitter } from 'node:events'
import { multiaddr } from '@multiformats/multiaddr'
import { Counter, type Registry } from 'prom-client'
import type { CancelTimer, Clock } from '../clock.ts'
import { deadline } from '../deadline.ts'
import { type ErrorCode, isKairoError, KairoError } from '../errors.ts'
import { hostLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'
import type { Libp2pHost } from './libp2p-host.ts'
import { fetchPeerInfo } from './peer-info.ts'
import { Redial } from './redial.ts'

/** What joining needs. */
export interface JoinComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly host: Pick<Libp2pHost, 'peerId' | 'dial' | 'peers' | 'rememberedPeers' | 'onDisconnect'>
  /** A number in [0, 1), for jitter. */
  readonly random: () => number
}

/** What to join. */
export interface JoinInit {
  /** Multiaddrs (with or without `/p2p/<peer id>`) and http(s) URLs of peers. */
  readonly targets: readonly string[]
}

/** Where joining one target stands. */
export interface JoinStatus {
  readonly target: string
  /** `self`: the target is this very peer, so there is nothing to do. */
  readonly state: 'connecting' | 'connected' | 'waiting' | 'self'
  /** The peer behind the target, once known. */
  readonly peerId: string | undefined
  /** Why the last attempt failed; undefined after one that did not. */
  readonly lastError: { readonly code: ErrorCode; readonly message: string } | undefined
  /** Failed attempts since the last connection. */
  readonly failures: number
}

/** Notices of joining. */
export interface JoinEvents {
  'join:connected': [status: JoinStatus]
  'join:failed': [status: JoinStatus]
}

interface Target {
  readonly address: string
  state: JoinStatus['state']
  peerId: string | undefined
  lastError: JoinStatus['lastError']
  failures: number
  cancelTimer: CancelTimer | undefined
}

/** The join loop of one peer. */
export class Join {
  readonly events = new EventEmitter<JoinEvents>()
  readonly #components: JoinComponents
  readonly #logger: Logger
  readonly #attempts: Counter<'outcome'>
  readonly #targets: Target[]
  readonly #redial: Redial
  readonly #work = new Set<Promise<void>>()
  #stopping = new AbortController()
  #cancelDisconnect: (() => void) | undefined

  /** @throws KairoError `ERR_CONFIG` for a target that is neither a multiaddr nor a URL, or too many of them. */
  constructor(components: JoinComponents, init: JoinInit) {
    this.#components = components
    this.#logger = components.logger.child({ name: 'kairo:join' })
    this.#attempts = new Counter({
      name: 'kairo_join_attempts_total',
      help: 'Attempts to reach a join target, by outcome (ok or an error code).',
      labelNames: ['outcome'],
      registers: [components.registry],
    })
    this.#redial = new Redial({ ...components, logger: this.#logger })
    const addresses = [...new Set(init.targets)]
    if (addresses.length > hostLimits.joinTargetsMax) {
      throw new KairoError('ERR_CONFIG', `more than ${hostLimits.joinTargetsMax} join targets`)
    }
    this.#targets = addresses.map(targetOf)
  }

  /** Begins to connect, in the background; the host must be running. */
  start(): void {
    assert(this.#cancelDisconnect === undefined, 'joining is started once')
    this.#stopping = new AbortController()
    this.#cancelDisconnect = this.#components.host.onDisconnect((id) => this.#onDisconnect(id))
    for (const target of this.#targets) this.#attempt(target)
    this.#redial.start()
  }

  /** Gives up attempts under way; connections stay, they are the host's. */
  async stop(): Promise<void> {
    this.#cancelDisconnect?.()
    this.#cancelDisconnect = undefined
    for (const target of this.#targets) target.cancelTimer?.()
    this.#stopping.abort(new KairoError('ERR_STOPPED', 'the peer is shutting down'))
    await Promise.all([...this.#work, this.#redial.stop()])
  }

  /** Where each target stands, in the order given. */
  status(): JoinStatus[] {
    return this.#targets.map(statusOf)
  }

  #attempt(target: Target): void {
    if (this.#stopping.signal.aborted) return
    target.state = 'connecting'
    this.#track(this.#connect(target))
  }

  async #connect(target: Target): Promise<void> {
    const { clock, host } = this.#components
    const limit = deadline(clock, hostLimits.joinAttemptTimeoutMs, this.#stopping.signal)
    try {
      const addresses = await this.#addressesOf(target, limit.signal)
      if (target.peerId === host.peerId) {
        target.state = 'self'
        return
      }
      target.peerId = await host.dial(addresses, { signal: limit.signal })
      this.#onConnected(target)
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      this.#onFailed(target, error)
    } finally {
      limit.clear()
    }
  }

  async #addressesOf(target: Target, signal: AbortSignal): Promise<string[]> {
    if (!isUrl(target.address)) return [target.address]
    const { peerId, multiaddrs } = await fetchPeerInfo(target.address, { signal })
    target.peerId = peerId
    return multiaddrs
  }

  #onConnected(target: Target): void {
    target.state = 'connected'
    target.lastError = undefined
    target.failures = 0
    this.#attempts.inc({ outcome: 'ok' })
    this.#logger.info({ target: target.address, peer: target.peerId }, 'joined')
    this.events.emit('join:connected', statusOf(target))
    // It may have gone between the dial's end and here, unseen by the state of the time.
    if (!this.#components.host.peers().includes(target.peerId ?? '')) this.#wait(target)
  }

  #onFailed(target: Target, error: unknown): void {
    const code = isKairoError(error) ? error.code : 'ERR_NO_PROVIDER'
    const message = error instanceof Error ? error.message : String(error)
    target.lastError = { code, message }
    this.#attempts.inc({ outcome: code })
    const log = target.failures === 0 ? this.#logger.warn : this.#logger.debug
    log.call(this.#logger, { target: target.address, err: error }, 'cannot join yet; trying on')
    this.#wait(target)
    target.failures++
    this.events.emit('join:failed', statusOf(target))
  }

  #wait(target: Target): void {
    target.state = 'waiting'
    target.cancelTimer?.()
    target.cancelTimer = this.#components.clock.after(this.#backoffMs(target.failures), () =>
      this.#attempt(target),
    )
  }

  #onDisconnect(peerId: string): void {
    for (const target of this.#targets) {
      if (target.state !== 'connected' || target.peerId !== peerId) continue
      this.#logger.info({ target: target.address, peer: peerId }, 'lost a join target')
      this.#wait(target)
    }
  }

  /** Doubles with each failure up to the longest wait; the upper half is random, so that peers do not come back in step. */
  #backoffMs(failures: number): number {
    const { joinBackoffMsMin, joinBackoffMsMax } = hostLimits
    const fullMs = Math.min(joinBackoffMsMax, joinBackoffMsMin * 2 ** Math.min(failures, 16))
    return fullMs * (0.5 + this.#components.random() / 2)
  }

  #track(work: Promise<void>): void {
    this.#work.add(work)
    void work.finally(() => this.#work.delete(work))
  }
}

function targetOf(address: string): Target {
  const target: Target = {
    address,
    state: 'waiting',
    peerId: undefined,
    lastError: undefined,
    failures: 0,
    cancelTimer: undefined,
  }
  if (isUrl(address)) return target
  try {
    target.peerId = multiaddr(address)
      .getComponents()
      .findLast((component) => component.name === 'p2p')?.value
    return target
  } catch (cause) {
    throw new KairoError('ERR_CONFIG', `neither a multiaddr nor a URL to join: ${address}`, {
      cause,
    })
  }
}

function statusOf(target: Target): JoinStatus {
  const { address, state, peerId, lastError, failures } = target
  return { target: address, state, peerId, lastError, failures }
}

function isUrl(address: string): boolean {
  return /^https?:\/\//i.test(address) && URL.canParse(address)
}
