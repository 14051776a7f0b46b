/**
 * Shares the cores that transcoding may use among the rungs of all streams. Pure. The most useful rung of every stream comes before
 * the second of any; a running rung keeps its place unless a clearly more useful one needs it, so that nothing flaps.
 */
import { admissionLimits } from '../limits/transcode.ts'

/** One way to make a rung. */
export interface EncoderOption {
  readonly encoder: string
  readonly cores: number
  /** Kind of hardware whose sessions are counted; undefined for software. */
  readonly session: string | undefined
}

/** A rung that some stream would like to have. */
export interface Candidate {
  readonly stream: string
  readonly rung: string
  /** Place in the stream's order of usefulness, from 0. */
  readonly rank: number
  /** The encoder that makes it now; undefined when none does. */
  readonly running: string | undefined
  /** Why it may not run for now, whatever there is to spare. */
  readonly held: string | undefined
  /** Best first. */
  readonly options: readonly EncoderOption[]
}

/** What there is to share. */
export interface Budget {
  readonly cores: number
  /** Cores that a stream takes as soon as it has a rung: its decoder. */
  readonly sharedCores: (stream: string) => number
}

/** Who gets what. */
export interface Allocation {
  readonly admitted: ReadonlyMap<Candidate, EncoderOption>
  /** A clause for people each. */
  readonly refused: ReadonlyMap<Candidate, string>
  readonly usedCores: number
}

/** Shares the budget; earlier candidates come first among equals. */
export function allocate(candidates: readonly Candidate[], budget: Budget): Allocation {
  const admitted = new Map<Candidate, EncoderOption>()
  const refused = new Map<Candidate, string>()
  const streams = new Set<string>()
  const sessions = new Map<string, number>()
  let usedCores = 0
  for (const candidate of candidates.toSorted((a, b) => place(a) - place(b))) {
    if (candidate.held !== undefined) {
      refused.set(candidate, candidate.held)
      continue
    }
    const shared = streams.has(candidate.stream) ? 0 : budget.sharedCores(candidate.stream)
    const option = preferRunning(candidate).find(({ encoder, cores, session }) => {
      const running = encoder === candidate.running
      const share = running ? admissionLimits.runningBudgetShare : 1
      const free = (sessions.get(session ?? '') ?? 0) < admissionLimits.hardwareSessionsMax
      return usedCores + shared + cores <= budget.cores * share && (session === undefined || free)
    })
    if (option === undefined) {
      refused.set(candidate, shortage(candidate, shared, budget.cores - usedCores))
      continue
    }
    admitted.set(candidate, option)
    streams.add(candidate.stream)
    usedCores += shared + option.cores
    const { session } = option
    if (session !== undefined) sessions.set(session, (sessions.get(session) ?? 0) + 1)
  }
  return { admitted, refused, usedCores }
}

function place({ rank, running }: Candidate): number {
  return running === undefined ? rank : rank - admissionLimits.runningRankBonus
}

function preferRunning({ options, running }: Candidate): readonly EncoderOption[] {
  const current = options.filter(({ encoder }) => encoder === running)
  return [...current, ...options.filter(({ encoder }) => encoder !== running)]
}

function shortage({ options }: Candidate, shared: number, leftCores: number): string {
  const needed = Math.min(...options.map(({ cores }) => cores)) + shared
  if (!Number.isFinite(needed)) return 'its encoder does not work any more'
  const left = Math.max(0, leftCores).toFixed(2)
  return `it needs ${needed.toFixed(2)} cores, and ${left} of those for transcoding are free`
}
