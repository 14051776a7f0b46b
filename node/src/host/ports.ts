/**
 * Chooses ports when the operator did not: the ones of last time, then the usual one, then any free one. A peer that
 * comes back on the ports it had is found by the neighbours and publishers that knew it.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { z } from 'zod'
import { parseJson, writeFileAtomic } from '../home.ts'

const portsSchema = z.record(z.string().max(40), z.number().int().min(1).max(65_535))

/** Remembers the ports that a home folder's peer had. */
export class PortMemory {
  readonly #file: string
  readonly #ports: Map<string, number>

  constructor(file: string) {
    this.#file = file
    this.#ports = new Map(Object.entries(readPorts(file)))
  }

  /**
   * The port a service should bind: `wanted` itself when the operator chose a fixed one, else the first that is free
   * among last time's, `wanted` and, as 0, any.
   */
  async choose(
    service: string,
    host: string,
    wanted: number,
    options: { readonly fixed: boolean },
  ): Promise<number> {
    if (options.fixed && wanted !== 0) return wanted
    const remembered = this.#ports.get(service)
    for (const port of [remembered, wanted]) {
      if (port !== undefined && port !== 0 && (await isPortFree(host, port))) return port
    }
    return 0
  }

  /** Notes the port a service got. */
  remember(service: string, port: number): void {
    if (this.#ports.get(service) === port) return
    this.#ports.set(service, port)
    writeFileAtomic(this.#file, `${JSON.stringify(Object.fromEntries(this.#ports))}\n`)
  }
}

/** True when a TCP server could listen there now. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

function readPorts(file: string): Record<string, number> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    // First start: nothing to remember.
    return {}
  }
  // A damaged note costs only the wish to have the same ports again.
  const parsed = portsSchema.safeParse(parseJson(text))
  return parsed.success ? parsed.data : {}
}
