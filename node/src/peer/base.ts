/** What every room of a peer is built with. */
import type { Registry } from 'prom-client'
import type { Clock } from '../clock.ts'
import type { HostPort } from '../config/address.ts'
import type { LoadedSettings } from '../config/load.ts'
import type { Home } from '../home.ts'
import type { Libp2pHost } from '../host/libp2p-host.ts'
import type { ChosenPorts } from '../host/ports.ts'
import type { Logger } from '../logger.ts'

/** What components are built from. */
export interface ComponentsInit {
  readonly loaded: LoadedSettings
  readonly home: Home
  readonly logger: Logger
  /** Where each server is to listen. */
  readonly ports: ChosenPorts
  /** Base URLs at which clients reach this peer; empty until its server listens. */
  readonly clientUrls: () => readonly string[]
  /** Where this peer's own HTTP server answers; undefined until it listens. */
  readonly ownHttp: () => HostPort | undefined
  readonly clock?: Clock
  readonly random?: () => number
}

/** What all rooms share. */
export interface Base {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  readonly host: Libp2pHost
  readonly random: () => number
}
