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
}

const liveSchema = z.object({ status: z.literal('live') })
const readySchema = z.object({
  status: z.enum(['ready', 'not-ready']),
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
        const names = Object.keys(init.checks)
        const results = await Promise.all(
          names.map((name) => runCheck(components, name, init.checks[name] as ReadyCheck)),
        )
        const checks = Object.fromEntries(
          names.map((name, index) => [name, results[index] as string]),
        )
        return results.every((result) => result === 'ok')
          ? { status: 200 as const, body: { status: 'ready' as const, checks }, headers }
          : { status: 503 as const, body: { status: 'not-ready' as const, checks }, headers }
      },
    }),
  ]
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
