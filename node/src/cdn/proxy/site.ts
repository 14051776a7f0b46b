/** The sites that this peer stands in front of: each host rule with its origin, found by host and path. */
import { hash } from 'node:crypto'
import { cdnLimits } from '../../limits/cdn.ts'
import type { HostRule, OriginConfig } from '../host-rule.ts'
import type { Origin } from '../origin.ts'

/** A host rule at work. */
export interface Site {
  readonly rule: HostRule
  /** Of this rule in these words: what was stored under other words is not its. */
  readonly id: string
  readonly origin: Origin
  /** Same for two peers whose rules mean the same: what they may fetch for each other. Hex. */
  readonly digest: string
}

/** Rules of one host, the longest path first. */
type HostSites = readonly Site[]

/** Finds sites. */
export class SiteTable {
  readonly #createOrigin: (config: OriginConfig) => Origin
  #sites = new Map<string, Site>()
  #exact = new Map<string, Site[]>()
  #wildcard = new Map<string, Site[]>()
  #any: Site[] = []
  /** Hosts as they came; a miss is remembered too. */
  #remembered = new Map<string, HostSites>()

  constructor(createOrigin: (config: OriginConfig) => Origin) {
    this.#createOrigin = createOrigin
  }

  /** Takes over a new set of rules; origins of rules that did not change stay. */
  replace(rules: readonly HostRule[]): void {
    const before = this.#sites
    const sites = new Map<string, Site>()
    for (const rule of rules) {
      const old = before.get(rule.name)
      const isSame = old !== undefined && JSON.stringify(old.rule) === JSON.stringify(rule)
      sites.set(rule.name, isSame ? old : this.#create(rule))
    }
    this.#sites = sites
    this.#arrange()
    const changed = [...before.values()].filter((site) => sites.get(site.rule.name) !== site)
    for (const site of changed) site.origin.close()
  }

  /** The site of a host (lower case, as sent) and path; undefined when no rule takes it. */
  find(host: string, path: string): Site | undefined {
    let sites = this.#remembered.get(host)
    if (sites === undefined) {
      sites = this.#sitesOf(host)
      if (this.#remembered.size >= cdnLimits.hostsRememberedMax) this.#remembered.clear()
      this.#remembered.set(host, sites)
    }
    for (const site of sites) {
      if (path.startsWith(site.rule.pathPrefix)) return site
    }
    return undefined
  }

  /** True when no rule is set: then no request is for the cache. */
  get isEmpty(): boolean {
    return this.#sites.size === 0
  }

  /** Ids of all sites. */
  ids(): ReadonlySet<string> {
    return new Set([...this.#sites.values()].map(({ id }) => id))
  }

  /** A site by its digest, for a peer that has the same. */
  byDigest(digest: string): Site | undefined {
    return [...this.#sites.values()].find((site) => site.digest === digest)
  }

  /** Lets go of all origins. */
  close(): void {
    for (const { origin } of this.#sites.values()) origin.close()
    this.#sites = new Map()
    this.#arrange()
  }

  #create(rule: HostRule): Site {
    const words = hash('sha256', JSON.stringify(rule), 'hex')
    return {
      rule,
      id: `${rule.name} ${words.slice(0, 16)}`,
      origin: this.#createOrigin(rule.origin),
      digest: ruleDigest(rule),
    }
  }

  #arrange(): void {
    this.#exact = new Map()
    this.#wildcard = new Map()
    this.#any = []
    this.#remembered = new Map()
    const longestFirst = [...this.#sites.values()].sort(
      (a, b) => b.rule.pathPrefix.length - a.rule.pathPrefix.length,
    )
    for (const site of longestFirst) {
      for (const host of site.rule.hosts) this.#place(host, site)
    }
  }

  #place(host: string, site: Site): void {
    if (host === '*') this.#any.push(site)
    else if (host.startsWith('*.')) append(this.#wildcard, host.slice(1), site)
    else append(this.#exact, host, site)
  }

  /** All that may be meant, the most specific host first: of one host the longest path wins, of two hosts the nearer one. */
  #sitesOf(host: string): HostSites {
    const bare = host.replace(/:\d+$/, '')
    const sites: Site[] = []
    for (const name of new Set([host, bare])) sites.push(...(this.#exact.get(name) ?? []))
    for (const name of new Set([host, bare])) {
      for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
        sites.push(...(this.#wildcard.get(name.slice(dot)) ?? []))
      }
    }
    return [...sites, ...this.#any]
  }
}

function append(map: Map<string, Site[]>, key: string, site: Site): void {
  const sites = map.get(key)
  if (sites === undefined) map.set(key, [site])
  else sites.push(site)
}

/** Which hosts and path of which origin: peers whose rules have these in common hold the same responses. Keys are no part of it. */
function ruleDigest({ hosts, pathPrefix, origin, query }: HostRule): string {
  const where =
    origin.type === 's3'
      ? { ...origin, accessKeyId: undefined, secretAccessKey: undefined }
      : origin
  return hash('sha256', JSON.stringify([[...hosts].sort(), pathPrefix, query, where]), 'hex')
}
