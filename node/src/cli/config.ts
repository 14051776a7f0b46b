/** `kairo config`: the effective settings and where each came from. */
import { settingKeys, shownSetting } from '../config/schema.ts'
import type { Arguments } from './arguments.ts'
import { settingsMarkdown } from './help.ts'
import { formatTable, print, printJson } from './output.ts'

/** Runs the command; wrong settings are reported by the caller with exit code 2. */
export async function config(input: Arguments): Promise<number> {
  if (input.markdown) {
    if (input.json) printJson({ markdown: settingsMarkdown() })
    else process.stdout.write(settingsMarkdown())
    return 0
  }
  const { settings, origins } = input.load()
  const list = settingKeys.map((name) => ({
    name,
    value: shownSetting(settings, name),
    origin: origins[name],
  }))
  if (input.json) printJson({ settings: list })
  else
    print(formatTable(list.map(({ name, value, origin }) => [name, JSON.stringify(value), origin])))
  return 0
}
