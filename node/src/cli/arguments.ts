/** Reads a command line into a command, its words and its settings; the flags come from the settings schema. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { type LoadedSettings, loadSettings, type SettingSources } from '../config/load.ts'
import { type SettingKey, settingInfo, settingKeys, settingKind } from '../config/schema.ts'

/** Wrong usage: exit code 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError'
  readonly code: string = 'ERR_USAGE'
}

/** A command line, taken apart. */
export interface Arguments {
  readonly command: string | undefined
  /** Words after the command. */
  readonly words: readonly string[]
  readonly json: boolean
  readonly help: boolean
  readonly version: boolean
  readonly markdown: boolean
  /** Flags that only this command has; see {@link commandFlags}. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>
  /** The settings that flags, environment and file give. */
  readonly load: () => LoadedSettings
}

type Options = NonNullable<ParseArgsConfig['options']>

/** Flags of single commands, which must come first then. */
const commandFlags: Readonly<Record<string, Options>> = {
  ipfs: { peer: { type: 'string' } },
  region: { 'lose-data': { type: 'boolean' } },
  purge: {
    tag: { type: 'string' },
    prefix: { type: 'string' },
    host: { type: 'string' },
    everything: { type: 'boolean' },
    soft: { type: 'boolean' },
  },
}

/**
 * @throws UsageError for an unknown flag or a flag without its value.
 */
export function parseArguments(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Arguments {
  const { values, positionals } = parse(argv)
  const own = Object.keys(flagsOf(argv))
  const flags: Partial<Record<SettingKey, string | string[] | boolean>> = {}
  for (const key of settingKeys) {
    const value = values[flagName(key)]
    if (value !== undefined) flags[key] = value as string | string[] | boolean
  }
  const sources: SettingSources = {
    flags,
    env,
    configFile: (values.config as string | undefined) ?? env.KAIRO_CONFIG,
  }
  return {
    command: positionals[0],
    words: positionals.slice(1),
    json: values.json === true,
    help: values.help === true,
    version: values.version === true,
    markdown: values.markdown === true,
    flags: Object.fromEntries(own.map((name) => [name, values[name] as string | boolean])),
    load: () => loadSettings(sources),
  }
}

function flagsOf([command = '']: readonly string[]): Options {
  return Object.hasOwn(commandFlags, command) ? (commandFlags[command] ?? {}) : {}
}

function flagName(key: SettingKey): string {
  return settingInfo(key).flag.slice(2)
}

function parse(argv: readonly string[]): {
  values: Record<string, unknown>
  positionals: string[]
} {
  const options: Options = {
    config: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'v' },
    markdown: { type: 'boolean' },
    ...flagsOf(argv),
  }
  for (const key of settingKeys) {
    const kind = settingKind(key)
    options[flagName(key)] =
      kind === 'boolean' ? { type: 'boolean' } : { type: 'string', multiple: kind === 'list' }
  }
  try {
    const parsed = parseArgs({
      args: [...argv],
      options,
      allowPositionals: true,
      allowNegative: true,
      strict: true,
    })
    return { values: parsed.values, positionals: parsed.positionals }
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    // Node goes on with advice on "--", which no command of ours has a use for.
    throw new UsageError(message.replace(/\. To specify a positional.*$/s, ''), { cause })
  }
}
