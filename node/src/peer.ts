/**
 * A peer, from start to stop: opens its home, starts its rooms in the order of need, joins the network, and stops in
 * the reverse order within a bounded time. The rooms themselves are built in `components.ts`.
 */
import { EventEmitter } from 'node:events'
import { isDeepStrictEqual } from 'node:util'
import { type Components, createComponents } from './components.ts'
import { type HostPort, localHost } from './config/address.ts'
import type { LoadedSettings } from './config/load.ts'
import type { SettingKey } from './config/schema.ts'
import { isKairoError, KairoError } from './errors.ts'
import { clearRunning, type Home, homeAt, openHome, readRunning, writeRunning } from './home.ts'
import { type ChosenPorts, choosePorts, PortMemory, rememberPorts } from './host/ports.ts'
import type { HttpServer } from './http/server.ts'
import { RtmpServer } from './ingest/rtmp/server.ts'
import { SrtServer } from './ingest/srt/server.ts'
import { TestStream } from './ingest/test-stream/test-stream.ts'
import { lifecycleLimits } from './limits.ts'
import type { Logger } from './logger.ts'
import { httpUrl, type PeerAddresses, peerAddresses, rtmpUrl } from './peer/addresses.ts'
import { peerDoctor } from './peer/doctor.ts'
import { createHttpServers } from './peer/http-servers.ts'
import { peerStatus } from './peer/status.ts'

/** How a peer is made. */
export interface PeerInit extends LoadedSettings {
  /** Which settings the operator chose: they are taken literally, defaults may give way. Default: all. */
  readonly fixed?: (key: SettingKey) => boolean
  readonly logger: Logger
}

/** Notices of a peer. */
export interface PeerEvents {
  /** A stream of the network appeared, changed its state, or was forgotten. */
  stream: [notice: { name: string; id: string; state: 'live' | 'ended' | 'gone' }]
}

/** What runs between start and stop. */
export interface RunningRooms {
  readonly components: Components
  /** What clients reach: everything, or only the origins that are cached where pages and API stand apart. */
  readonly http: HttpServer
  /** Pages, API and metrics; the same server unless they stand apart. */
  readonly admin: HttpServer
  readonly rtmp: RtmpServer | undefined
  readonly srt: SrtServer | undefined
  testStream: TestStream | undefined
  readonly startedMs: number
}

type Status = 'stopped' | 'starting' | 'started' | 'stopping'

/** Makes a peer; nothing happens before {@link Peer.start}. */
export function createPeer(init: PeerInit): Peer {
  return new Peer(init)
}

/** One peer of the network. */
export class Peer {
  readonly events = new EventEmitter<PeerEvents>()
  readonly #init: PeerInit
  readonly #logger: Logger
  /** What is running, in the order in which it was started; stopped from the end. */
  readonly #started: { name: string; stop: () => Promise<void> | void }[] = []
  #status: Status = 'stopped'
  #starting: Promise<void> | undefined
  #rooms: RunningRooms | undefined
  #home: Home | undefined

  constructor(init: PeerInit) {
    this.#init = init
    this.#logger = init.logger.child({ name: 'kairo:peer' })
  }

  /**
   * Starts everything. On failure what had started is stopped again.
   * @throws KairoError `ERR_ADDRESS_IN_USE` when a chosen port or the home folder is taken, `ERR_CONFIG`, `ERR_STORAGE`.
   */
  async start(): Promise<void> {
    if (this.#status !== 'stopped')
      throw new KairoError('ERR_STOPPED', `the peer is ${this.#status}`)
    this.#status = 'starting'
    this.#starting = this.#startOnFreePorts()
    try {
      await this.#starting
      this.#status = 'started'
    } catch (error) {
      this.#status = 'stopped'
      throw error
    }
  }

  /** Stops everything in order, within `lifecycleLimits.stopMsMax`; a peer that is still starting is stopped after that. */
  async stop(): Promise<void> {
    // A failed start stops its rooms itself and tells its own caller why.
    if (this.#status === 'starting') await Promise.allSettled([this.#starting])
    if (this.#status !== 'started' && this.#status !== 'starting') return
    this.#status = 'stopping'
    await this.#stopRooms()
    this.#status = 'stopped'
  }

  /** Where the running peer is reached. */
  addresses(): PeerAddresses {
    return peerAddresses(this.#running(), this.#init.settings.home)
  }

  /** A port that was free when it was chosen may be another peer's a moment later: then others are chosen. */
  async #startOnFreePorts(): Promise<void> {
    let ports = await this.#choosePorts()
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#startRooms(ports)
        return
      } catch (error) {
        await this.#stopRooms()
        if (!isKairoError(error, 'ERR_ADDRESS_IN_USE') || tries === lifecycleLimits.portTriesMax)
          throw error
        const others = await this.#choosePorts()
        if (isDeepStrictEqual(others, ports)) throw error
        ports = others
      }
    }
  }

  #choosePorts(): Promise<ChosenPorts> {
    const { settings, fixed = () => true } = this.#init
    return choosePorts(new PortMemory(openHome(settings.home).portsFile), settings, fixed)
  }

  async #startRooms(ports: ChosenPorts): Promise<void> {
    const { settings } = this.#init
    const home = openHome(settings.home)
    this.#home = home
    const components = await createComponents({
      loaded: this.#init,
      home,
      logger: this.#init.logger,
      ports,
      clientUrls: () => this.#clientUrls(),
      ownHttp: () => this.#ownHttp(),
    })
    await this.#startContent(components)
    await this.#startCdn(components)
    const rtmp = ports.rtmp === undefined ? undefined : new RtmpServer(components, ports.rtmp)
    if (rtmp !== undefined) await this.#begin('rtmp', rtmp)
    const srt = ports.srt === undefined ? undefined : new SrtServer(components, ports.srt)
    if (srt !== undefined) await this.#begin('srt', srt)
    const { http, admin } = await createHttpServers(
      {
        ...{ components, loaded: this.#init, rtmp, srt },
        report: {
          status: () => peerStatus(this.#running(), this.addresses(), settings),
          doctor: async () => peerDoctor(this.#running(), this.addresses(), settings),
        },
      },
      ports,
    )
    await this.#begin('http', http)
    if (admin !== http) await this.#begin('pages and API', admin)
    // After the servers, so that its clients hear goodbye before their connections are cut.
    if (components.webtorrent !== undefined) await this.#begin('webtorrent', components.webtorrent)
    if (components.swarmEdge !== undefined) await this.#begin('swarms', components.swarmEdge)
    this.#rooms = {
      components,
      http,
      admin,
      rtmp,
      srt,
      testStream: undefined,
      startedMs: components.clock.now(),
    }
    rememberPorts(
      new PortMemory(home.portsFile),
      {
        http: http.address()?.port,
        adminHttp: admin === http ? undefined : admin.address()?.port,
        peerHttps: components.peerHttp.port,
        dns: components.dns?.address().port,
        rtmp: rtmp?.address().port,
        srt: srt?.address().port,
      },
      {
        wanted: settings.listen,
        got: settings.announce.length > 0 ? [] : components.host.multiaddrs(),
      },
    )
    writeRunning(home, { pid: process.pid, http: httpUrl(admin) })
    this.#noticeStreams(components)
    await this.#begin('fills', components.fills)
    await this.#begin('join', components.join)
    components.catalog.serve()
    // The first to be told of a stop are those who would still send clients here.
    this.#started.push({ name: 'draining', stop: () => components.catalog.drain() })
    await this.#startTestStream(this.#rooms)
  }

  /** The state folder's lock comes first: it keeps a second peer out of this home. */
  async #startContent(components: Components): Promise<void> {
    const { sequences, store, host, peerHttp, directory, providers, fetches } = components
    const { feeds, replicas, load, geo, nearest, catalog, replication, ipfs } = components
    const { videos, networkVideos, remoteDvr, coordination, swarmFeed } = components
    await this.#lockHome(sequences)
    await this.#begin('store', store)
    await this.#begin('host', host)
    await this.#begin('coordination', coordination)
    await this.#begin('requests of peers', peerHttp)
    await this.#begin('load', load)
    await this.#begin('places of clients', geo)
    await this.#begin('catalog of peers', catalog)
    await this.#begin('choice of peers', nearest)
    await this.#begin('providers', providers)
    await this.#begin('directory', directory)
    await this.#begin('fetches', fetches)
    await this.#begin('feeds', feeds)
    await this.#begin('replicas', replicas)
    await this.#begin('what the region is told', swarmFeed)
    await this.#begin('videos of the network', videos)
    this.#started.push({ name: 'videos of others', stop: () => networkVideos.stop() })
    this.#started.push({ name: 'rewinding at others', stop: () => remoteDvr.stop() })
    await this.#begin('replication', replication)
    if (ipfs !== undefined) await this.#begin('ipfs', ipfs)
    ensureStreams(components, this.#init.settings.testStream)
    for (const stream of components.keys.list()) await components.publications.prepare(stream)
    await this.#startMedia(components)
    this.#started.push({ name: 'stream leases', stop: () => components.streamLeases.stop() })
    // Publishers go first: whoever hears of them hears their end.
    this.#started.push({ name: 'publishing', stop: () => components.publishing.stop() })
    await this.#begin('pulls', components.pulls)
  }

  /** The cache is there before purges are carried out, and the rules before the proxy takes them over. */
  async #startCdn({ shelter, cdnCache, hostRules, purges, cdn, dns }: Components): Promise<void> {
    await this.#begin('shelter', shelter)
    await this.#begin('cached responses', cdnCache)
    await this.#begin('host rules', hostRules)
    await this.#begin('purges', purges)
    cdnCache.catchUp(purges)
    await this.#begin('cdn', cdn)
    if (dns !== undefined) await this.#begin('dns', dns)
  }

  /** What makes, keeps and passes on media; all of it stands ready before the first publisher comes. */
  async #startMedia(components: Components): Promise<void> {
    const { webhooks, media, encoders, transcoding, restreaming, archives } = components
    await this.#begin('webhooks', webhooks)
    await this.#begin('media children', media)
    await this.#begin('encoders', encoders)
    await this.#begin('transcoding', transcoding)
    await this.#begin('restreaming', restreaming)
    await this.#begin('library', components.library)
    components.tellOfOwnVideos()
    await this.#begin('archives', archives)
    components.dvrServer.start()
    await this.#begin('storyboards', components.storyboards)
    await this.#begin('uploads', components.uploads)
    await this.#begin('pipeline', components.pipeline)
    await this.#begin('downloads', components.downloads)
    if (components.watchFolder !== undefined) {
      await this.#begin('watched folder', components.watchFolder)
    }
  }

  async #lockHome(sequences: Components['sequences']): Promise<void> {
    try {
      await this.#begin('state', sequences)
    } catch (error) {
      if (!isKairoError(error, 'ERR_ADDRESS_IN_USE')) throw error
      const root = this.#init.settings.home
      const holder = readRunning(homeAt(root))
      const where = holder === undefined ? '' : `, at ${holder.http}`
      throw new KairoError(
        'ERR_ADDRESS_IN_USE',
        `a peer runs on ${root} already${where}. A second one on this machine needs a home of its own: --home ${root}-2`,
        { cause: error },
      )
    }
  }

  async #startTestStream(rooms: RunningRooms): Promise<void> {
    if (!this.#init.settings.testStream) return
    const stream = rooms.components.keys.list().find(({ builtIn }) => builtIn)
    if (rooms.rtmp === undefined || stream === undefined) {
      this.#logger.warn({}, 'the test stream needs RTMP, which is off')
      return
    }
    const url = `${rtmpUrl(rooms.rtmp)}/${stream.streamKey}`
    rooms.testStream = new TestStream(rooms.components, { rtmpUrl: url })
    await this.#begin('test stream', rooms.testStream)
  }

  #noticeStreams({ directory, replicas, publishing, keys }: Components): void {
    directory.events.on('record:rival', ({ id, originPeer }) => {
      const own = keys.list().find(({ key }) => key.id === id)
      if (own !== undefined) publishing.yieldTo(own.name, originPeer)
    })
    directory.events.on('record:changed', (record) => {
      replicas.recordChanged(record.id)
      const name = directory.uniqueName(record)
      this.events.emit('stream', { name, id: record.id, state: record.state })
    })
    directory.events.on('record:removed', (record) => {
      this.events.emit('stream', { name: record.alias, id: record.id, state: 'gone' })
    })
  }

  /** Empty while the server does not listen, before and after: nobody is told of a door that is not there. */
  #clientUrls(): readonly string[] {
    if (this.#rooms?.http.address() === undefined) return []
    const { clientUrls } = this.#init.settings
    if (clientUrls.length > 0) return clientUrls
    const { http, network } = this.addresses()
    return network.http.length > 0 ? network.http : [http]
  }

  /** One that is bound to all addresses is asked on the loopback one. */
  #ownHttp(): HostPort | undefined {
    const address = this.#rooms?.http.address()
    return address && { host: localHost(address.address), port: address.port }
  }

  #running(): RunningRooms {
    if (this.#rooms === undefined) throw new KairoError('ERR_STOPPED', 'the peer does not run')
    return this.#rooms
  }

  async #begin(
    name: string,
    room: { start(): Promise<void> | void; stop(): Promise<void> | void },
  ): Promise<void> {
    // Before the start: a room that failed half-way is stopped like the others.
    this.#started.push({ name, stop: () => room.stop() })
    await room.start()
  }

  async #stopRooms(): Promise<void> {
    const deadline = performance.now() + lifecycleLimits.stopMsMax
    for (const { name, stop } of this.#started.splice(0).reverse()) {
      const leftMs = Math.max(lifecycleLimits.stopStepMsMin, deadline - performance.now())
      await stopWithin(name, stop, leftMs, this.#logger)
    }
    this.#rooms = undefined
    if (this.#home !== undefined) clearRunning(this.#home)
    this.#home = undefined
  }
}

async function stopWithin(
  name: string,
  stop: () => Promise<void> | void,
  limitMs: number,
  logger: Logger,
): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    logger.error({ room: name, limitMs: Math.round(limitMs) }, 'a room does not stop in time')
    resolve()
  }, limitMs)
  try {
    await Promise.race([stop(), late])
  } catch (error) {
    logger.error({ err: error, room: name }, 'a room failed to stop')
  } finally {
    clearTimeout(timer)
  }
}

function ensureStreams({ keys }: Components, testStream: boolean): void {
  if (!keys.list().some(({ builtIn }) => !builtIn)) keys.create({ prefix: 'stream' })
  if (testStream && !keys.list().some(({ builtIn }) => builtIn)) {
    keys.create({ prefix: 'test', title: 'Test stream', builtIn: true })
  }
}
