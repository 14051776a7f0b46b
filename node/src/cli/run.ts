/**
 * Dispatch of the commands. Exit codes: 0 done, 1 the command failed, 2 wrong usage or settings.
 * Each command's module is loaded only when it runs, so that `kairo status` does not pay for the network stack.
 */
import { isKairoError } from '../errors.ts'
import { KAIRO_VERSION } from '../version.ts'
import { type Arguments, parseArguments, UsageError } from './arguments.ts'
import { commandHelp, generalHelp } from './help.ts'
import { print, printError, printJson } from './output.ts'

const commands: Readonly<Record<string, () => Promise<(input: Arguments) => Promise<number>>>> = {
  up: async () => (await import('./up.ts')).up,
  status: async () => (await import('./status.ts')).status,
  streams: async () => (await import('./streams.ts')).streams,
  keys: async () => (await import('./keys.ts')).keys,
  restream: async () => (await import('./restream.ts')).restream,
  vod: async () => (await import('./vod.ts')).vod,
  cdn: async () => (await import('./cdn.ts')).cdn,
  ipfs: async () => (await import('./ipfs.ts')).ipfs,
  purge: async () => (await import('./purge.ts')).purge,
  region: async () => (await import('./region.ts')).region,
  swarms: async () => (await import('./swarms.ts')).swarms,
  doctor: async () => (await import('./doctor.ts')).doctor,
  config: async () => (await import('./config.ts')).config,
}

/** Commands that take further words. */
const wordy: ReadonlySet<string> = new Set([
  ...['keys', 'vod', 'restream', 'cdn', 'ipfs', 'purge', 'region', 'swarms'],
])

/** Runs one command line (without the program's name) and returns the exit code. */
export async function runCli(argv: readonly string[]): Promise<number> {
  dropUnreadOutput()
  let json = argv.includes('--json')
  try {
    const input = parseArguments(argv)
    json = input.json
    if (input.version) {
      if (json) printJson({ version: KAIRO_VERSION })
      else print(`kairo ${KAIRO_VERSION}`)
      return 0
    }
    const name = input.command
    if (name === undefined) {
      if (json && !input.help) throw new UsageError('no command was given')
      printHelp(generalHelp(), json)
      return input.help ? 0 : 2
    }
    const load = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (load === undefined) throw new UsageError(`there is no command ${name}`)
    if (input.help) {
      printHelp(commandHelp(name), json)
      return 0
    }
    if (!wordy.has(name) && input.words.length > 0) {
      throw new UsageError(`${name} takes no further words, but got ${input.words.join(' ')}`)
    }
    const command = await load()
    return await command(input)
  } catch (error) {
    printError(error, json)
    return error instanceof UsageError || isKairoError(error, 'ERR_CONFIG') ? 2 : 1
  }
}

/** A reader that went away (`| head`, a closed terminal) is no failure of the command, least of all of a peer that stops. */
function dropUnreadOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.listenerCount('error', ignoreUnread) === 0) stream.on('error', ignoreUnread)
  }
}

function ignoreUnread(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
}

function printHelp(text: string, json: boolean): void {
  if (json) printJson({ help: text })
  else print(text)
}
