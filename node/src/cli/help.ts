/** The help texts; the list of settings comes from the schema. */
import { settingInfo, settingKeys, settingKind, settingsSchema } from '../config/schema.ts'
import { formatDefinitions } from './output.ts'
import { programName } from './program.ts'

interface CommandText {
  /** After the program's name. */
  readonly usage: readonly string[]
  readonly text: string
  /** Which settings it takes: all, or only the folder in which it finds the running peer. */
  readonly settings: 'all' | 'home'
}

const commandTexts: Readonly<Record<string, CommandText>> = {
  up: {
    usage: ['up'],
    text: 'Starts a peer and runs until it is told to stop (Ctrl-C, SIGTERM).',
    settings: 'all',
  },
  status: {
    usage: ['status'],
    text: 'Shows the running peer: addresses, peers, publishers, cache.',
    settings: 'home',
  },
  streams: {
    usage: ['streams'],
    text: "Lists the network's streams as the running peer knows them.",
    settings: 'home',
  },
  keys: {
    usage: [
      ...['keys', 'keys add [name]', 'keys remove <name>', 'keys disconnect <name>'],
      ...['keys export <name> <file>', 'keys import <file>'],
      'keys options <name> [quality=… record=on|off dvrWindowS=… srtPassphrase=… pullUrl=…]',
    ],
    text: 'Lists, makes and removes the stream keys of the running peer, ends a publisher, chooses what is made of a stream, or brings a stream to a second peer that can take over.',
    settings: 'home',
  },
  restream: {
    usage: [
      ...['restream', 'restream add <stream> <name> <url>'],
      'restream on|off|retry|remove <stream> <name>',
    ],
    text: 'Lists the places that streams are also sent to and how each is doing, adds one, turns it on or off, or removes it.',
    settings: 'home',
  },
  vod: {
    usage: [
      ...['vod', 'vod add <file> [title]', 'vod remove <id>'],
      'vod captions <id> <file.vtt> [language] [label]',
    ],
    text: 'Lists the videos of the running peer and of others, adds a file to its own, removes one, or gives one captions.',
    settings: 'home',
  },
  cdn: {
    usage: [
      ...['cdn --origin <url> [--http host:port]', 'cdn rules', 'cdn remove <name>'],
      ...['cdn fill <url>… [between=01:00-06:00]', 'cdn fills'],
      'cdn add <name> <hosts> <url | folder | s3://bucket/prefix> [key=value …]',
    ],
    text: 'Starts a peer that is a shared cache in front of an origin; or lists, adds and removes the host rules of the running peer, or has it read URLs into its cache before anybody asks, at a quiet time if wished.',
    settings: 'all',
  },
  ipfs: {
    usage: [
      ...['ipfs pins', 'ipfs add <file | folder | tree.car>', 'ipfs unpin <cid>'],
      ...[
        'ipfs get <cid>[/path] [target] [--peer <multiaddr>]',
        'ipfs pin <cid> [--peer <multiaddr>]',
      ],
    ],
    text: 'Takes files and folders in as IPFS trees, lists and removes those that the running peer keeps, and gets trees from it or from IPFS nodes.',
    settings: 'home',
  },
  purge: {
    usage: [
      ...[
        'purge <url> [--soft]',
        'purge --tag <tag> | --prefix <url> | --host <name> | --everything',
      ],
      'purge list',
    ],
    text: 'Forgets cached responses at every peer of the network and tells what each has done; --soft only makes them stale. Lists the newest purges.',
    settings: 'home',
  },
  swarms: {
    usage: ['swarms', 'swarms <stream>'],
    text: 'Shows how many peers of the region hold each live stream and how many watch it, or which peers hold one stream.',
    settings: 'home',
  },
  region: {
    usage: [
      ...['region', 'region streams', 'region leave', 'region merge <region id>'],
      'region forget <region id> --lose-data',
    ],
    text: 'Shows the members of the region that the running peer is in and who leads, and which peer owns which stream; leaves it, moves to another one, or gives up one whose quorum does not come back.',
    settings: 'home',
  },
  doctor: {
    usage: ['doctor'],
    text: 'Checks ports, clock, disk, Node, encoders and reachability; says what to do.',
    settings: 'all',
  },
  config: {
    usage: ['config', 'config --markdown'],
    text: 'Prints the effective settings and where each value came from; with --markdown, their reference.',
    settings: 'all',
  },
}

/** `kairo --help`. */
export function generalHelp(program: string = programName()): string {
  return `Kairo: one peer of an edge-distributed streaming network.

Usage: ${program} <command> [settings] [--json]

Commands:
${formatDefinitions(Object.entries(commandTexts).map(([name, { text }]) => [`  ${name}`, text]))}

${program} <command> --help tells a command's settings; ${program} --version the version.`
}

/** `kairo <command> --help`. */
export function commandHelp(name: string, program: string = programName()): string {
  const command = commandTexts[name]
  if (command === undefined) return generalHelp(program)
  const usage = command.usage.map((words) => `${program} ${words} [settings] [--json]`)
  const note =
    command.settings === 'all'
      ? 'Settings, also as environment variables and in a JSON file (docs/settings.md):'
      : 'Settings:'
  return `Usage: ${usage.join('\n       ')}

${command.text}

${note}
${settingsHelp(command.settings)}`
}

/** docs/settings.md, whole. */
export function settingsMarkdown(): string {
  const rows = settingKeys.map((key) => {
    const { flag, env, description } = settingInfo(key)
    const fallback = key === 'home' ? '`~/.kairo`' : `\`${JSON.stringify(defaultOf(key))}\``
    return `| \`${key}\` | \`${flag}\` | \`${env}\` | ${fallback} | ${description} |`
  })
  return `# Settings

A setting is looked for in this order: flag, environment variable, configuration file (\`--config file.json\` or
\`KAIRO_CONFIG\`), default. \`kairo config\` prints the effective value of each and where it came from. A list is
written as a repeated flag, as a comma-separated variable, or as a JSON array. A boolean flag has a \`--no-\` form.
This page is printed by \`kairo config --markdown\`.

| setting | flag | variable | default | meaning |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`
}

function settingsHelp(which: CommandText['settings']): string {
  const keys = which === 'all' ? settingKeys : settingKeys.filter((key) => key === 'home')
  const rows = keys.map((key): [string, string] => {
    const { flag, description } = settingInfo(key)
    const kind = settingKind(key)
    if (kind === 'boolean') return [`  --[no-]${flag.slice(2)}`, description]
    return [`  ${flag} <value>${kind === 'list' ? '…' : ''}`, description]
  })
  return formatDefinitions([
    ['  --config <file>', 'JSON file of settings.'],
    ...rows,
    ['  --json', 'Answer in JSON.'],
  ])
}

function defaultOf(key: (typeof settingKeys)[number]): unknown {
  return settingsSchema.shape[key].parse(undefined)
}
