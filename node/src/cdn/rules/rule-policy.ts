/** What the rules take from an operator's host rule. */
import type { HostRule } from '../host-rule.ts'

/** The times that a host rule gives to responses that say nothing of their own, in seconds. */
export type RulePolicy = Pick<
  HostRule,
  'defaultTtlS' | 'negativeTtlS' | 'staleWhileRevalidateS' | 'staleIfErrorS'
>
