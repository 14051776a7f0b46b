/** What the form about a host rule holds, and the rule that it makes. */

import type { HostRuleView, NewHostRule } from '../../shared/api.ts'

/** The fields as they are typed. */
export interface RuleValues {
  readonly name: string
  /** Names, apart by spaces or commas. */
  readonly hosts: string
  readonly pathPrefix: string
  readonly origin: NewHostRule['origin']['type']
  /** Base URL of a web server. */
  readonly url: string
  /** `Host` for it; empty: the URL's. */
  readonly originHost: string
  readonly folder: string
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  readonly prefix: string
  readonly accessKeyId: string
  /** Empty: the rule keeps the one it has. */
  readonly secretAccessKey: string
  /** Seconds. */
  readonly defaultTtl: string
  readonly query: HostRuleView['query']
}

/** The fields of a new rule. */
export const emptyRule: RuleValues = {
  ...{ name: '', hosts: '', pathPrefix: '', origin: 'http', url: '', originHost: '', folder: '' },
  ...{ endpoint: '', region: '', bucket: '', prefix: '', accessKeyId: '', secretAccessKey: '' },
  ...{ defaultTtl: '', query: 'keep' },
}

/** The fields of a rule that is changed. */
export function valuesOf({ origin, ...rule }: HostRuleView): RuleValues {
  const values: RuleValues = {
    ...emptyRule,
    ...{ name: rule.name, hosts: rule.hosts.join(' '), pathPrefix: rule.pathPrefix },
    ...{ origin: origin.type, defaultTtl: String(rule.defaultTtlS), query: rule.query },
  }
  switch (origin.type) {
    case 'http':
      return { ...values, url: origin.url, originHost: origin.host ?? '' }
    case 'folder':
      return { ...values, folder: origin.path }
    case 's3': {
      const { endpoint, region, bucket, prefix, accessKeyId } = origin
      return { ...values, endpoint, region, bucket, prefix, accessKeyId }
    }
  }
}

/** The rule that the fields make; `old` is the one that is changed: what has no field stays as it is there. */
export function ruleOf(values: RuleValues, old: HostRuleView | undefined): NewHostRule {
  const { name: _, origin: __, ...kept } = old ?? { name: '', origin: undefined }
  const { pathPrefix, defaultTtl } = values
  return {
    ...kept,
    hosts: hostsOf(values.hosts),
    pathPrefix: pathPrefix.trim() === '' ? '/' : pathPrefix.trim(),
    origin: originOf(values),
    defaultTtlS: defaultTtl === '' ? 0 : Number(defaultTtl),
    query: values.query,
  }
}

/** `a.example, *.B.example` as names; a host's case means nothing. */
export function hostsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((host) => host !== '')
}

/** True when the rule also takes the requests of the page at `host` (`name:port`), which then has to be reached elsewhere. */
export function takesPage(rule: Pick<NewHostRule, 'hosts' | 'pathPrefix'>, host: string): boolean {
  const { pathPrefix = '/' } = rule
  if (!['/admin', '/api/', '/assets/'].some((path) => path.startsWith(pathPrefix))) return false
  const page = host.toLowerCase()
  const name = page.replace(/:\d+$/, '')
  return rule.hosts.some((each) => {
    if (each === '*' || each === page || each === name) return true
    return each.startsWith('*.') && (name.endsWith(each.slice(1)) || page.endsWith(each.slice(1)))
  })
}

/** Where a rule's responses come from, in one line. */
export function describeOrigin(origin: HostRuleView['origin']): string {
  switch (origin.type) {
    case 'http':
      return origin.host === undefined ? origin.url : `${origin.url} as ${origin.host}`
    case 'folder':
      return `folder ${origin.path}`
    case 's3': {
      const { bucket, prefix, endpoint, accessKeyId, hasSecret } = origin
      const signed = hasSecret ? `, signed as ${accessKeyId}` : ''
      return `bucket ${bucket}${prefix === '' ? '' : `/${prefix}`} at ${endpoint}${signed}`
    }
  }
}

function originOf(values: RuleValues): NewHostRule['origin'] {
  switch (values.origin) {
    case 'http': {
      const host = values.originHost.trim()
      return { type: 'http', url: values.url.trim(), ...(host !== '' && { host }) }
    }
    case 'folder':
      return { type: 'folder', path: values.folder.trim() }
    case 's3': {
      const { bucket, prefix, accessKeyId, secretAccessKey } = values
      const region = values.region.trim()
      return {
        ...{ type: 's3', endpoint: values.endpoint.trim(), bucket: bucket.trim() },
        ...{ prefix: prefix.trim(), accessKeyId: accessKeyId.trim(), secretAccessKey },
        ...(region !== '' && { region }),
      }
    }
  }
}
