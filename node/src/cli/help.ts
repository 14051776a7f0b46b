/** The help texts; the list of settings comes from the schema. */
import { settingInfo, settingKeys, settingKind, settingsSchema } from '../config/schema.ts'
import { formatTable } from './output.ts'

const commandTexts: Readonly<Record<string, string>> = {
  up: 'kairo up [settings]\n\nStarts a peer and runs until it is told to stop (Ctrl-C, SIGTERM).',
  status:
    'kairo status [--home folder]\n\nShows the running peer: addresses, peers, publishers, cache.',
  streams:
    "kairo streams [--home folder]\n\nLists the network's streams as the running peer knows them.",
  keys: 'kairo keys [--home folder]\nkairo keys add [name]\nkairo keys remove <name>\nkairo keys disconnect <name>\n\nLists, makes and removes the stream keys of the running peer, or ends a publisher.',
  doctor:
    'kairo doctor [settings]\n\nChecks ports, clock, disk, Node, encoders and reachability; says what to do.',
  config:
    'kairo config [settings]\n\nPrints the effective settings and where each value came from. --markdown prints their reference.',
}

/** `kairo --help`. */
export function generalHelp(): string {
  const commands = Object.entries(commandTexts).map(([name, text]) => [
    `  ${name}`,
    text.split('\n\n').at(-1) ?? '',
  ])
  return `kairo: one peer of an edge-distributed streaming network

Usage: kairo <command> [settings] [--json]

Commands:
${formatTable(commands)}

${settingsHelp()}
`
}

/** `kairo <command> --help`. */
export function commandHelp(name: string): string {
  const text = commandTexts[name] ?? ''
  return name === 'up' || name === 'doctor' || name === 'config'
    ? `${text}\n\n${settingsHelp()}\n`
    : `${text}\n\nWith --json the answer is one JSON value.\n`
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

function settingsHelp(): string {
  const rows = settingKeys.map((key) => {
    const kind = settingKind(key)
    const value = kind === 'boolean' ? '' : kind === 'list' ? ' <value>…' : ' <value>'
    return [`  ${settingInfo(key).flag}${value}`, settingInfo(key).description]
  })
  return `Settings (also as environment variables and in a JSON file; see docs/settings.md):
${formatTable([['  --config <file>', 'JSON file of settings.'], ...rows])}
${formatTable([['  --json', 'Answer in JSON.']])}`
}

function defaultOf(key: (typeof settingKeys)[number]): unknown {
  return settingsSchema.shape[key].parse(undefined)
}
