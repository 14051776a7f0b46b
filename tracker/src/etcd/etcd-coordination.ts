/** {@link Coordination} over an etcd that the operator runs already (3.4 and newer), by package etcd3. */
import { Etcd3, type IOptions } from 'etcd3'
import type { Clock } from '../clock.ts'
import type { Coordination, Keyspace, WatchBatch } from '../coordination.ts'
import { checkName } from '../coordination-check.ts'
import { TrackerError } from '../errors.ts'
import { EtcdCalls, stopped } from './etcd-calls.ts'
import { EtcdKeyspace } from './etcd-keyspace.ts'
import { etcdLimits } from './etcd-limits.ts'
import { parseEtcdUrl } from './etcd-url.ts'
import { EtcdWatch } from './etcd-watch.ts'
import { KeyNames } from './key-names.ts'
import { LeaseRenewals } from './lease-renewals.ts'

/** Where the etcd is, and which keys in it are ours. */
export interface EtcdCoordinationInit {
  /** `etcd://[user:password@]host:port[,host:port]`, `etcds://` for TLS. */
  readonly url: string
  /** The region's name: keys lie under `/kairo/<region>/`. */
  readonly region: string
  /** PEM, with `etcds://`. Default: what the system trusts, and no certificate of one's own. */
  readonly certificates?: {
    readonly authority: Uint8Array
    readonly key?: Uint8Array
    readonly chain?: Uint8Array
  }
}

/** Coordination over etcd. Nothing is asked until somebody asks. */
export class EtcdCoordination implements Coordination {
  readonly #client: Etcd3
  readonly #calls: EtcdCalls
  readonly #renewals: LeaseRenewals
  readonly #region: string
  readonly #stop = new AbortController()
  #watches = 0

  /** @throws TrackerError ERR_INVALID_INPUT for a URL that cannot be read */
  constructor(components: { readonly clock: Clock }, init: EtcdCoordinationInit) {
    const { clock } = components
    checkName(init.region)
    this.#region = init.region
    this.#client = new Etcd3(clientOptions(init, clock))
    this.#calls = new EtcdCalls({ clock })
    this.#renewals = new LeaseRenewals({ client: this.#client, clock })
  }

  /** Calls, further attempts, calls refused because too many waited, and calls of which nobody knows what became. */
  get counters(): Readonly<EtcdCalls['counters']> {
    return this.#calls.counters
  }

  keyspace(name: string): Keyspace {
    checkName(name)
    return new EtcdKeyspace({
      client: this.#client,
      calls: this.#calls,
      renewals: this.#renewals,
      names: new KeyNames(this.#region, name),
      watch: (names, prefix, options) => this.#watch(names, prefix, options),
    })
  }

  async stop(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#calls.stop()
    this.#stop.abort()
    await this.#renewals.stop()
    this.#client.close()
  }

  async *#watch(
    names: KeyNames,
    prefix: string,
    options: { readonly after?: number; readonly signal?: AbortSignal },
  ): AsyncGenerator<WatchBatch, void, undefined> {
    const stop = this.#stop.signal
    if (stop.aborted) throw stopped()
    if (this.#watches >= etcdLimits.watchesMax) {
      throw new TrackerError('ERR_OVERLOADED', `${etcdLimits.watchesMax} watches are open already`)
    }
    const signal = options.signal ? AbortSignal.any([options.signal, stop]) : stop
    const components = { client: this.#client, calls: this.#calls, names }
    const watch = new EtcdWatch(components, { prefix, after: options.after, signal, stop })
    this.#watches += 1
    try {
      yield* watch.batches()
    } finally {
      this.#watches -= 1
    }
  }
}

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>

/** Package etcd3 tries a call once and tells what happened: who asks again is decided in one place, which knows what may be asked twice. */
const onceOnly: Policy = {
  _altReturn: undefined as never,
  onSuccess: () => ({ dispose: () => undefined }),
  onFailure: () => ({ dispose: () => undefined }),
  execute: async (call) => call({ signal: neverAborted }),
}

const neverAborted = new AbortController().signal

function clientOptions(init: EtcdCoordinationInit, clock: Clock): IOptions {
  const { hosts, auth } = parseEtcdUrl(init.url)
  const { certificates } = init
  const options: IOptions = {
    hosts: [...hosts],
    defaultCallOptions: { interceptors: [withLeader] },
    faultHandling: { global: onceOnly, host: () => onceOnly },
    grpcOptions: {
      'grpc.max_receive_message_length': etcdLimits.answerBytesMax,
      'grpc.keepalive_time_ms': etcdLimits.keepaliveMs,
      'grpc.keepalive_timeout_ms': etcdLimits.keepaliveTimeoutMs,
      'grpc.initial_reconnect_backoff_ms': etcdLimits.retryMs,
      'grpc.max_reconnect_backoff_ms': etcdLimits.watchRetryMsMax,
    },
  }
  if (auth !== undefined) {
    const callOptions = () => ({ deadline: new Date(clock.now() + etcdLimits.attemptMs) })
    options.auth = { ...auth, callOptions }
  }
  if (certificates !== undefined) {
    const { authority, key, chain } = certificates
    options.credentials = {
      rootCertificate: Buffer.from(authority),
      ...(key && { privateKey: Buffer.from(key) }),
      ...(chain && { certChain: Buffer.from(chain) }),
    }
  }
  return options
}

type Interceptor = NonNullable<
  Exclude<NonNullable<IOptions['defaultCallOptions']>, (...args: never) => unknown>['interceptors']
>[number]

/** Tells etcd to refuse at once, and to end watches, where a member has no leader (etcd's api/v3rpc/rpctypes/metadatafields.go). */
const withLeader: Interceptor = (options, nextCall) => {
  const call = nextCall(options)
  const start = call.start.bind(call)
  call.start = (metadata, listener) => {
    const marked = metadata.clone()
    marked.set('hasleader', 'true')
    start(marked, listener)
  }
  return call as ReturnType<Interceptor>
}
