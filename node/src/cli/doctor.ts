/** `kairo doctor`: asks the running peer how it is, or looks at the machine where none runs. */
import { styleText } from 'node:util'
import { doctorSchema } from '../api/schemas.ts'
import { settingsFixed } from '../config/load.ts'
import type { Check } from '../doctor/check.ts'
import { checkDisk, checkEncoders, checkHome, checkNode, checkPorts } from '../doctor/machine.ts'
import { homeAt, readRunning } from '../home.ts'
import { probeEncoders } from '../media/encoders.ts'
import type { Arguments } from './arguments.ts'
import { PeerClient } from './client.ts'
import { formatTable, print, printJson } from './output.ts'
import { programName } from './program.ts'

/** Runs the command; 0 when nothing failed, 1 when something did. */
export async function doctor(input: Arguments): Promise<number> {
  const loaded = input.load()
  const { settings } = loaded
  const running = readRunning(homeAt(settings.home)) !== undefined
  const checks: readonly Check[] = running
    ? (await new PeerClient(settings.home).call('GET', '/api/doctor', doctorSchema)).checks
    : [
        {
          name: 'peer',
          status: 'warn',
          detail: `no peer runs on ${settings.home}`,
          hint: `Start one with \`${programName()} up\`; some checks need it.`,
        },
        checkNode(),
        checkHome(settings.home),
        checkDisk(settings.home, settings),
        ...(await checkPorts(settings, settingsFixed(loaded))),
        checkEncoders(await probeEncoders(settings)),
      ]
  if (input.json) printJson({ checks })
  else print(render(checks))
  return checks.some(({ status }) => status === 'fail') ? 1 : 0
}

const colours = { ok: 'green', warn: 'yellow', fail: 'red' } as const

function render(checks: readonly Check[]): string {
  const table = formatTable(
    checks.flatMap(({ name, status, detail, hint }) => [
      [status.padEnd(4), name, detail],
      ...(hint === undefined ? [] : [['', '', `→ ${hint}`]]),
    ]),
  )
  return table.replace(/^(ok|warn|fail)/gm, (word) =>
    styleText(colours[word as keyof typeof colours], word, { stream: process.stdout }),
  )
}
