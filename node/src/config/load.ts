/**
 * Finds the effective settings: flags over environment over configuration file over defaults, each value with the
 * place it came from, so that `kairo config` can say why a peer does what it does.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { KairoError } from '../errors.ts'
import {
  type SettingKey,
  type Settings,
  settingInfo,
  settingKeys,
  settingKind,
  settingsSchema,
} from './schema.ts'

/** Where a value came from: `default`, `file <path>`, `environment <NAME>` or `flag <--name>`. */
export type SettingOrigin = string

/** Settings together with the origin of each. */
export interface LoadedSettings {
  readonly settings: Settings
  readonly origins: Readonly<Record<SettingKey, SettingOrigin>>
}

/** What {@link loadSettings} reads. */
export interface SettingSources {
  /** Values of flags by setting name, as text (lists as several texts, booleans as booleans). */
  readonly flags: Readonly<Partial<Record<SettingKey, string | readonly string[] | boolean>>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Path of a JSON file of settings. */
  readonly configFile?: string | undefined
}

/**
 * Merges and validates settings.
 * @throws KairoError `ERR_CONFIG` that names every wrong setting, where it was set and what was expected.
 */
export function loadSettings(sources: SettingSources): LoadedSettings {
  const values: Record<string, unknown> = {}
  const origins: Record<string, SettingOrigin> = {}
  for (const key of settingKeys) origins[key] = 'default'
  const file = sources.configFile === undefined ? {} : readConfigFile(sources.configFile)
  for (const [key, value] of Object.entries(file)) {
    values[key] = value
    origins[key] = `file ${sources.configFile}`
  }
  for (const key of settingKeys) {
    const { env, flag } = settingInfo(key)
    const fromEnv = sources.env[env]
    if (fromEnv !== undefined && fromEnv !== '') {
      values[key] = readText(key, fromEnv)
      origins[key] = `environment ${env}`
    }
    const fromFlag = sources.flags[key]
    if (fromFlag !== undefined) {
      values[key] = typeof fromFlag === 'string' ? readText(key, fromFlag) : fromFlag
      origins[key] = `flag ${flag}`
    }
  }
  if (values.testStream === undefined && Array.isArray(values.join) && values.join.length > 0) {
    // Whoever joins a network comes to serve its streams; a test picture from every peer would bury them.
    values.testStream = false
    origins.testStream = 'default when joining'
  }
  if (typeof values.origin === 'string' && values.origin !== '') {
    // Every path belongs to the origin, so pages and API need a place of their own.
    if (values.adminHttp === undefined) {
      values.adminHttp = '127.0.0.1:0'
      origins.adminHttp = 'default with an origin'
    }
    if (values.testStream === undefined) {
      values.testStream = false
      origins.testStream = 'default with an origin'
    }
  }
  const parsed = settingsSchema.safeParse(values)
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => describeFault(issue, origins))
    throw new KairoError('ERR_CONFIG', faults.join('; '))
  }
  const settings = { ...parsed.data, home: resolve(parsed.data.home) }
  validateTogether(settings)
  return { settings, origins: origins as Record<SettingKey, SettingOrigin> }
}

/** Which settings the operator chose, as opposed to defaults that may give way (a taken default port). */
export function settingsFixed(loaded: LoadedSettings): (key: SettingKey) => boolean {
  return (key) => !loaded.origins[key].startsWith('default')
}

function validateTogether(settings: Settings): void {
  if (settings.dns !== 'off' && settings.dnsZone === '') {
    throw new KairoError('ERR_CONFIG', 'the DNS server needs a name to answer for: --dns-zone')
  }
  if (settings.origin !== '' && settings.adminHttp === 'same') {
    throw new KairoError(
      'ERR_CONFIG',
      'an origin takes every path, so pages and API need an address of their own: --admin-http',
    )
  }
  if (settings.partTargetMs * 2 > settings.segmentTargetMs) {
    throw new KairoError(
      'ERR_CONFIG',
      `partTargetMs (${settings.partTargetMs}) must be at most half of segmentTargetMs (${settings.segmentTargetMs})`,
    )
  }
}

function describeFault(
  issue: { readonly path: readonly PropertyKey[]; readonly message: string; readonly code: string },
  origins: Readonly<Record<string, SettingOrigin>>,
): string {
  const key = String(issue.path[0] ?? '')
  if (key === '') return issue.message
  return `${key} (${origins[key] ?? 'default'}): ${issue.message}`
}

function readConfigFile(path: string): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new KairoError('ERR_CONFIG', `cannot read the configuration file ${path}`, { cause })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new KairoError('ERR_CONFIG', `${path} is not valid JSON: ${(cause as Error).message}`, {
      cause,
    })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new KairoError('ERR_CONFIG', `${path} must hold one JSON object of settings`)
  }
  return value as Record<string, unknown>
}

function readText(key: SettingKey, text: string): unknown {
  switch (settingKind(key)) {
    case 'boolean':
      if (/^(1|true|yes|on)$/i.test(text)) return true
      if (/^(0|false|no|off)$/i.test(text)) return false
      return text
    case 'number':
      return /^-?\d+$/.test(text) ? Number(text) : text
    case 'list':
      return text
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '')
    case 'text':
      return text
  }
}
