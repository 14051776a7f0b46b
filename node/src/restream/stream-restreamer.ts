/** Everything that one live stream is sent to: it hears the stream and hands its main tracks to each target. */
import { restreamLimits as limits } from '../limits/restream.ts'
import { type AccessUnit, TICKS_PER_MS, type TrackConfig } from '../media/access-unit.ts'
import type { PublishedSession, SessionListener } from '../media/published-session.ts'
import type { RestreamTarget } from './target.ts'
import { TargetSender, type TargetSenderComponents } from './target-sender.ts'
import type { TargetStatus } from './target-status.ts'

/** How a {@link StreamRestreamer} is built. */
export interface StreamRestreamerInit {
  readonly session: PublishedSession
  readonly streamKey: string | undefined
  readonly targets: readonly RestreamTarget[]
  /** The session is over. */
  readonly onEnded: () => void
}

/** The targets of one session. */
export class StreamRestreamer implements SessionListener {
  readonly #components: TargetSenderComponents
  readonly #init: StreamRestreamerInit
  readonly #configs = new Map<'video' | 'audio', TrackConfig>()
  readonly #senders = new Map<string, TargetSender>()
  /** The stream's first units, until its tracks are known; undefined from then on. */
  #startup: AccessUnit[] | undefined = []
  #startupBytes = 0
  readonly #stopListening: () => void

  constructor(components: TargetSenderComponents, init: StreamRestreamerInit) {
    this.#components = components
    this.#init = init
    this.setTargets(init.targets)
    this.#stopListening = init.session.listen(this)
  }

  configured(config: TrackConfig): void {
    if ((config.track ?? 0) !== 0) return
    const before = this.#configs.get(config.kind)
    this.#configs.set(config.kind, config)
    if (before !== undefined && Buffer.compare(before.description, config.description) === 0) return
    for (const sender of this.#senders.values()) sender.configured()
  }

  unit(unit: AccessUnit): void {
    if ((unit.track ?? 0) !== 0 || !this.#configs.has(unit.kind)) return
    if (this.#startup === undefined) this.#send(unit)
    else this.#hold(unit, this.#startup)
  }

  /** A container names its tracks at its beginning, and a second track shows a moment after the first. */
  #hold(unit: AccessUnit, startup: AccessUnit[]): void {
    startup.push(unit)
    this.#startupBytes += unit.data.byteLength
    const heldMs = (unit.dts - (startup[0]?.dts ?? unit.dts)) / TICKS_PER_MS
    const full = heldMs >= limits.startupMs || this.#startupBytes >= limits.startupBytesMax
    if (this.#configs.size < 2 && !full) return
    this.#startup = undefined
    for (const held of startup) this.#send(held)
  }

  #send(unit: AccessUnit): void {
    const lead = this.#configs.has('video') ? 'video' : 'audio'
    const resumes = unit.kind === lead && unit.keyframe
    for (const sender of this.#senders.values()) sender.unit(unit, resumes)
  }

  ended(): void {
    for (const sender of this.#senders.values()) sender.end()
    this.#init.onEnded()
  }

  /** Takes the owner's choice: what is the same goes on untouched. */
  setTargets(targets: readonly RestreamTarget[]): void {
    const wanted = new Map(targets.map((target) => [target.name, target]))
    for (const [name, sender] of this.#senders) {
      const target = wanted.get(name)
      const { url, enabled } = sender.target
      if (target?.url === url && target.enabled === enabled) continue
      this.#senders.delete(name)
      sender.end()
    }
    for (const target of targets) {
      if (this.#senders.has(target.name)) continue
      const { session, streamKey } = this.#init
      const init = { streamName: session.streamName, streamKey, target, configs: this.#configs }
      this.#senders.set(target.name, new TargetSender(this.#components, init))
    }
  }

  /** Tries a target again at once; false when there is none of that name. */
  retry(targetName: string): boolean {
    const sender = this.#senders.get(targetName)
    sender?.retry()
    return sender !== undefined
  }

  /** Ends everything at once. */
  stop(): void {
    this.#stopListening()
    for (const sender of this.#senders.values()) sender.stop()
    this.#init.onEnded()
  }

  /** Where each target stands. */
  status(): TargetStatus[] {
    return [...this.#senders.values()].map((sender) => sender.status())
  }
}
