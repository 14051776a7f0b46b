/**
 * Chooses ports when the operator did not: the ones of last time, then the usual one, then any free one. A peer that
 * comes back on the ports it had is found by the neighbours and publishers that knew it.
 */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { z } from 'zod'
import { type HostPort, parseAddress } from '../config/address.ts'
import type { SettingKey, Settings } from '../config/schema.ts'
import { replaceFile } from '../files.ts'
import { parseJson } from '../json.ts'

const portsSchema = z.record(z.string().max(40), z.number().int().min(1).max(65_535))

/** Remembers the ports that a home folder's peer had. */
export class PortMemory {
  readonly #file: string
  readonly #ports: Map<string, number>

  constructor(file: string) {
    this.#file = file
    this.#ports = new Map(Object.entries(readPorts(file)))
  }

  /**
   * The port a service should bind: `wanted` itself when the operator chose a fixed one, else the first that is free
   * among last time's, `wanted` and, as 0, any.
   */
  async choose(
    service: string,
    host: string,
    wanted: number,
    options: {
      readonly fixed: boolean
      readonly isFree?: (host: string, port: number) => Promise<boolean>
    },
  ): Promise<number> {
    if (options.fixed && wanted !== 0) return wanted
    const { isFree = isPortFree } = options
    const remembered = this.#ports.get(service)
    for (const port of [remembered, wanted]) {
      if (port !== undefined && port !== 0 && (await isFree(host, port))) return port
    }
    return 0
  }

  /** Notes the port a service got. */
  remember(service: string, port: number): void {
    if (this.#ports.get(service) === port) return
    this.#ports.set(service, port)
    replaceFile(this.#file, `${JSON.stringify(Object.fromEntries(this.#ports))}\n`)
  }
}

/** The settings that are addresses of servers. */
type ServerKey = 'http' | 'adminHttp' | 'peerHttps' | 'dns' | 'rtmp' | 'srt'

/** Where each server of a peer is to listen. */
export interface ChosenPorts {
  readonly http: HostPort
  /** Where pages, API and metrics stand apart; undefined: on `http`. */
  readonly adminHttp: HostPort | undefined
  /** Undefined when other peers fetch over libp2p only. */
  readonly peerHttps: HostPort | undefined
  /** UDP and TCP; undefined when the DNS server is off. */
  readonly dns: HostPort | undefined
  /** Undefined when RTMP is off. */
  readonly rtmp: HostPort | undefined
  /** UDP; undefined when SRT is off. */
  readonly srt: HostPort | undefined
  /** Multiaddrs. */
  readonly listen: readonly string[]
}

/** Chooses a port for every server of the settings. */
export async function choosePorts(
  memory: PortMemory,
  settings: Settings,
  fixed: (key: SettingKey) => boolean,
): Promise<ChosenPorts> {
  const choose = async (key: ServerKey): Promise<HostPort | undefined> => {
    const wanted = parseAddress(settings[key])
    if (wanted === undefined) return undefined
    const isFree = key === 'srt' || key === 'dns' ? isUdpPortFree : isPortFree
    const options = { fixed: fixed(key), isFree }
    return { ...wanted, port: await memory.choose(key, wanted.host, wanted.port, options) }
  }
  const listen: string[] = []
  for (const [index, multiaddr] of settings.listen.entries()) {
    const match = TCP_MULTIADDR.exec(multiaddr)
    if (match?.groups === undefined) {
      listen.push(multiaddr)
      continue
    }
    const { before = '', host = '', port = '0', after = '' } = match.groups
    const options = { fixed: fixed('listen') }
    const chosen = await memory.choose(`listen${index}`, host, Number(port), options)
    listen.push(`${before}${chosen}${after}`)
  }
  const http = await choose('http')
  return {
    http: http ?? { host: '127.0.0.1', port: 0 },
    adminHttp: await choose('adminHttp'),
    peerHttps: await choose('peerHttps'),
    dns: await choose('dns'),
    rtmp: await choose('rtmp'),
    srt: await choose('srt'),
    listen,
  }
}

/** Notes what every server got, for the next start. */
export function rememberPorts(
  memory: PortMemory,
  servers: Readonly<Partial<Record<ServerKey, number | undefined>>>,
  listened: { readonly wanted: readonly string[]; readonly got: readonly string[] },
): void {
  for (const [service, port] of Object.entries(servers)) {
    if (port !== undefined) memory.remember(service, port)
  }
  for (const [index, multiaddr] of listened.wanted.entries()) {
    const wanted = TCP_MULTIADDR.exec(multiaddr)?.groups
    if (wanted === undefined) continue
    const got = listened.got
      .map((address) => TCP_MULTIADDR.exec(address.replace(/\/p2p\/.*$/, ''))?.groups)
      .find((groups) => groups?.after === wanted.after)
    if (got?.port !== undefined) memory.remember(`listen${index}`, Number(got.port))
  }
}

const TCP_MULTIADDR = /^(?<before>\/ip[46]\/(?<host>[^/]+)\/tcp\/)(?<port>\d+)(?<after>.*)$/

/** True when a TCP server could listen there now. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** True when a UDP server could bind there now. */
function isUdpPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.once('error', () => {
      socket.close()
      resolve(false)
    })
    socket.bind({ address: host, port, exclusive: true }, () => socket.close(() => resolve(true)))
  })
}

function readPorts(file: string): Record<string, number> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    // First start: nothing to remember.
    return {}
  }
  // A damaged note costs only the wish to have the same ports again.
  const parsed = portsSchema.safeParse(parseJson(text))
  return parsed.success ? parsed.data : {}
}
