/** `etcd://host:port[,host:port]` as an operator writes it. */
import { TrackerError } from '../errors.ts'
import { etcdLimits } from './etcd-limits.ts'

/** Where an etcd is. */
export interface EtcdAddress {
  /** As package etcd3 wants them, with `http://` or `https://` in front. */
  readonly hosts: readonly string[]
  readonly auth: { readonly username: string; readonly password: string } | undefined
}

/** etcd's port for clients. */
const defaultPort = 2379

/** Scheme, user and password, hosts. */
const form = /^(etcds?):\/\/(?:([^@/]*)@)?([^@/?#]+)\/?$/

/** A name, an IPv4 address or an IPv6 address in brackets; a port. */
const hostForm = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\])(?::(\d{1,5}))?$/

/**
 * Reads `etcd://[user:password@]host[:port][,host[:port]...]`; `etcds://` is the same over TLS. User and password are percent-encoded.
 * @throws TrackerError ERR_INVALID_INPUT; its message never has the password
 */
export function parseEtcdUrl(url: string): EtcdAddress {
  const [, scheme, user, list] = form.exec(url) ?? []
  if (scheme === undefined || list === undefined) refuse('etcd://host:port[,host:port]')
  const hosts = list.split(',').map((host) => readHost(host, scheme === 'etcds'))
  if (hosts.length > etcdLimits.hostsMax) refuse(`at most ${etcdLimits.hostsMax} hosts`)
  return { hosts, auth: user === undefined ? undefined : readUser(user) }
}

function readHost(text: string, isSecure: boolean): string {
  const [, host, port = String(defaultPort)] = hostForm.exec(text) ?? []
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) refuse('host:port')
  return `${isSecure ? 'https' : 'http'}://${host}:${port}`
}

function readUser(text: string): { username: string; password: string } {
  const colon = text.indexOf(':')
  if (colon < 1) refuse('user:password before the @')
  try {
    const username = decodeURIComponent(text.slice(0, colon))
    return { username, password: decodeURIComponent(text.slice(colon + 1)) }
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    return refuse('user:password with percent-encoding before the @')
  }
}

function refuse(wanted: string): never {
  throw new TrackerError('ERR_INVALID_INPUT', `the URL of an etcd needs ${wanted}`)
}
