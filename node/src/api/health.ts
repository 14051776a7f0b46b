/** `GET /health/live` and `GET /health/ready`: what a supervisor and a load balancer ask. */
import { z } from 'zod'
import type { Clock } from '../clock.ts'
import { deadline, unlessAborted } from '../deadline.ts'
import { isKairoError } from '../errors.ts'
import { defineRoute, type Route } from '../http/route.ts'
import { httpLimits } from '../limits.ts'
import type { Logger } from '../logger.ts'

/** Resolves when the part it stands for can do its work, else rejects. The signal fires at the check's deadline. */
export type ReadyCheck = (signal: AbortSignal) => Promise<void>

/** What the health routes are built on. */
export interface HealthComponents {
  readonly clock: Clock
  readonly logger: Logger
}

/** What the health routes ask. */
export interface HealthInit {
  /** Named checks, all asked at once for each request to `/health/ready`. */
  readonly checks: Readonly<Record<string, ReadyCheck>>
  /** The same of what the peer can do without. */
  readonly others?: Readonly<Record<string, ReadyCheck>>
}

const liveSchema = z.object({ status: z.literal('live') })
const readySchema = z.object({
  status: z
    .enum(['ready', 'degraded', 'not-ready'])
    .describe('`degraded`: it serves, and lacks something that it can do without.'),
  /** By name: `ok`, or the code of what is wrong. */
  checks: z.record(z.string(), z.string()),
})
const headers = { 'cache-control': 'no-store' }

/** The two health routes. */
export function healthRoutes(components: HealthComponents, init: HealthInit): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/health/live',
      summary: 'Answers as long as the process does.',
      access: 'public',
      response: { 200: liveSchema },
      handler: () => ({ status: 200, body: { status: 'live' as const }, headers }),
    }),
    defineRoute({
      method: 'GET',
      path: '/health/ready',
      summary: 'Whether every part of the peer can do its work, and which cannot.',
      access: 'public',
      response: { 200: readySchema, 503: readySchema },
      handler: async () => {
        const [needed, others] = await Promise.all([
          runChecks(components, init.checks),
          runChecks(components, init.others ?? {}),
        ])
        const checks = { ...needed, ...others }
        if (!isWell(needed)) {
          return { status: 503 as const, body: { status: 'not-ready' as const, checks }, headers }
        }
        const status = isWell(others) ? ('ready' as const) : ('degraded' as const)
        return { status: 200 as const, body: { status, checks }, headers }
      },
    }),
  ]
}

async function runChecks(
  components: HealthComponents,
  checks: Readonly<Record<string, ReadyCheck>>,
): Promise<Record<string, string>> {
  const run = async ([name, check]: [string, ReadyCheck]) =>
    [name, await runCheck(components, name, check)] as const
  return Object.fromEntries(await Promise.all(Object.entries(checks).map(run)))
}

function isWell(checks: Readonly<Record<string, string>>): boolean {
  return Object.values(checks).every((result) => result === 'ok')
}

/** `ok` or a code; the words of a failure go to the log, not to whoever asks. */
async function runCheck(
  components: HealthComponents,
  name: string,
  check: ReadyCheck,
): Promise<string> {
  const limit = deadline(components.clock, httpLimits.readyCheckTimeoutMs)
  try {
    await unlessAborted(check(limit.signal), limit.signal)
    return 'ok'
  } catch (error) {
    components.logger.warn({ err: error, check: name }, 'a readiness check failed')
    return isKairoError(error) ? error.code : 'ERR_INTERNAL'
  } finally {
    limit.clear()
  }
}
