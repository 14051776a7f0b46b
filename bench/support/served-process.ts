/** Servers under test, each a process of its own. */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type ChildProgram, startProgram } from './child-program.ts'
import { onCore } from './cores.ts'

/** How long a server may take to say where it listens. */
const READY_MS = 90_000

/** A server under test. */
export interface ServedProcess {
  readonly name: string
  readonly version: string
  readonly port: number
  /** The process that was started; what it spends is counted with its children. */
  readonly pid: number
  stop(): Promise<void>
}

/** A TypeScript server file of this folder that prints a line of JSON with its `port` when it listens. */
export async function startNodeServer(
  name: string,
  file: string,
  options: { readonly core?: 'server' | 'load'; readonly args?: readonly string[] } = {},
): Promise<ServedProcess & { readonly told: unknown }> {
  const path = new URL(file, import.meta.url).pathname
  const plain = [process.execPath, path, ...(options.args ?? [])]
  const [command = '', ...words] = options.core === undefined ? plain : onCore(options.core, plain)
  const program = startProgram(command, words)
  const told = JSON.parse(await firstLine(program, name)) as { port: number }
  return { ...servedBy(name, process.version, told.port, program), told }
}

/** A running program as a server; what it left is put away by `afterwards`. */
export function servedBy(
  name: string,
  version: string,
  port: number,
  program: ChildProgram,
  afterwards: () => void = () => {},
): ServedProcess {
  return {
    ...{ name, version, port, pid: program.child.pid as number },
    stop: async () => {
      await program.stop()
      afterwards()
    },
  }
}

/** @throws Error with the program's output when it ends or takes too long before it says anything. */
async function firstLine(program: ChildProgram, name: string): Promise<string> {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), READY_MS)
  program.child.once('exit', () => over.abort())
  const lines = createInterface({ input: program.child.stdout as NodeJS.ReadableStream })
  try {
    const [line] = (await once(lines, 'line', { signal: over.signal })) as [string]
    return line
  } catch (cause) {
    await program.stop()
    throw new Error(`${name} does not start: ${program.log()}`, { cause })
  } finally {
    clearTimeout(timer)
  }
}
