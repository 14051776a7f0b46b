/**
 * Renewals of leases over one of etcd's keepalive streams. A renewal is sent when somebody asks for it and never otherwise: whoever has
 * lost interest, or hangs, must lose the lease.
 */
import type { Etcd3, ILeaseKeepAliveResponse } from 'etcd3'
import type { Clock } from '../clock.ts'
import { TrackerError } from '../errors.ts'
import type { AttemptOptions } from './etcd-calls.ts'

/** A duplex stream as package etcd3 gives it. */
type KeepaliveStream = Awaited<ReturnType<Etcd3['leaseClient']['leaseKeepAlive']>>

/** One renewal that is under way. */
interface Renewal {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** The keepalive stream of one client; it is opened with the first renewal, and anew after it broke. */
export class LeaseRenewals {
  readonly #client: Etcd3
  readonly #clock: Clock
  #stream: Promise<KeepaliveStream> | undefined
  /** That stream once it is open: what an older one still says does not count. */
  #current: KeepaliveStream | undefined
  /** By lease, in the order of asking: etcd answers in that order, and an answer to an earlier question says nothing of a later one. */
  #waiting = new Map<string, Renewal[]>()

  constructor(components: { readonly client: Etcd3; readonly clock: Clock }) {
    this.#client = components.client
    this.#clock = components.clock
  }

  /**
   * Renews a lease.
   * @throws TrackerError ERR_LEASE_NOT_FOUND; errors of package etcd3 when the stream breaks or the deadline passes, after which it may be
   *   asked again
   */
  async renew(leaseId: string, options: AttemptOptions): Promise<void> {
    const stream = await this.#open()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(leaseId)
    if (waiting === undefined) this.#waiting.set(leaseId, [{ resolve, reject }])
    else waiting.push({ resolve, reject })
    const ms = options.deadline.getTime() - this.#clock.now()
    // A member that does not answer is left, with all that wait for it: the next attempt may go to another.
    const cancel = this.#clock.after(ms, () => this.#end(stream, new Error(lateText)))
    stream.write({ ID: leaseId })
    await promise.finally(cancel)
  }

  /** Closes the stream. */
  async stop(): Promise<void> {
    const stream = await this.#stream?.catch(() => undefined)
    if (stream !== undefined) this.#end(stream, new Error(closedText))
  }

  #open(): Promise<KeepaliveStream> {
    if (this.#stream !== undefined) return this.#stream
    const opened = this.#client.leaseClient.leaseKeepAlive().then((stream) => {
      this.#current = stream
      stream.on('data', (response: ILeaseKeepAliveResponse) => this.#onAnswer(response))
      stream.on('error', (error: Error) => this.#end(stream, error))
      stream.on('end', () => this.#end(stream, new Error(closedText)))
      return stream
    })
    this.#stream = opened
    opened.catch(() => {
      // Whoever waits for the stream is told; the next renewal opens another.
      if (this.#stream === opened) this.#stream = undefined
    })
    return opened
  }

  #onAnswer({ ID, TTL }: ILeaseKeepAliveResponse): void {
    const waiting = this.#waiting.get(ID)
    const renewal = waiting?.shift()
    if (waiting?.length === 0) this.#waiting.delete(ID)
    if (Number(TTL) > 0) renewal?.resolve()
    else renewal?.reject(new TrackerError('ERR_LEASE_NOT_FOUND', 'the lease is not there'))
  }

  #end(stream: KeepaliveStream, error: Error): void {
    if (this.#current !== stream) return
    this.#current = undefined
    this.#stream = undefined
    const waiting = [...this.#waiting.values()].flat()
    this.#waiting = new Map()
    // Ended first: package etcd3 takes the error of a writable stream for a broken connection, and closes it for all.
    stream.end()
    stream.cancel()
    for (const { reject } of waiting) reject(error)
  }
}

/** In the words of gRPC, so that these are told from errors of the program. */
const lateText = '4 DEADLINE_EXCEEDED: the renewal was not answered in time'
const closedText = '14 UNAVAILABLE: the stream of renewals was closed'
