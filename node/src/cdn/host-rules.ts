/** The host rules of this peer: what its operator has set, kept in one file, and the one that the setting `origin` makes. */
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import { replaceFile, storageError } from '../files.ts'
import { parseJson } from '../json.ts'
import { cdnLimits } from '../limits/cdn.ts'
import { type HostRule, hostRuleSchema } from './host-rule.ts'

/** Name of the rule that the setting `origin` makes. */
const SETTING_RULE = 'origin'

const rulesFile = z.strictObject({ rules: z.array(hostRuleSchema).max(cdnLimits.rulesMax) })

/** Where rules are kept. */
export interface HostRulesInit {
  readonly directory: string
  /** Origin for every host and path that no other rule takes; empty: none. */
  readonly origin: string
}

/** The host rules; they hold the keys of origins, so the file is its owner's alone. */
export class HostRules {
  readonly #init: HostRulesInit
  readonly #path: string
  readonly #listeners: (() => void)[] = []
  #rules = new Map<string, HostRule>()

  constructor(init: HostRulesInit) {
    this.#init = init
    this.#path = join(init.directory, 'rules.json')
  }

  /**
   * Reads the file, where there is one.
   * @throws KairoError `ERR_CONFIG` when it does not hold rules, `ERR_STORAGE` when it cannot be read.
   */
  async start(): Promise<void> {
    try {
      await mkdir(this.#init.directory, { recursive: true, mode: 0o700 })
    } catch (cause) {
      throw storageError('the folder of the host rules cannot be made', cause)
    }
    this.#rules = new Map(this.#read().map((rule) => [rule.name, rule]))
    this.#tell()
  }

  stop(): void {
    this.#rules = new Map()
  }

  /** All rules, that of the setting last. */
  list(): readonly HostRule[] {
    const { origin } = this.#init
    const rules = [...this.#rules.values()]
    if (origin === '') return rules
    return [
      ...rules,
      hostRuleSchema.parse({
        name: SETTING_RULE,
        hosts: ['*'],
        origin: { type: 'http', url: origin },
      }),
    ]
  }

  /**
   * Adds a rule or replaces the one of that name.
   * @throws KairoError `ERR_NAME_TAKEN` for the name of the setting's rule, `ERR_LIMIT`, `ERR_STORAGE`.
   */
  put(rule: HostRule): void {
    if (rule.name === SETTING_RULE && this.#init.origin !== '') {
      throw new KairoError('ERR_NAME_TAKEN', `the rule ${SETTING_RULE} is made by a setting`)
    }
    const rules = new Map(this.#rules).set(rule.name, this.#withSecret(rule))
    if (rules.size > cdnLimits.rulesMax) {
      throw new KairoError('ERR_LIMIT', `there are ${cdnLimits.rulesMax} host rules already`)
    }
    this.#write(rules)
  }

  /** @throws KairoError `ERR_NOT_FOUND`, `ERR_STORAGE`. */
  remove(name: string): void {
    const rules = new Map(this.#rules)
    if (!rules.delete(name)) throw new KairoError('ERR_NOT_FOUND', `there is no host rule ${name}`)
    this.#write(rules)
  }

  /** Calls `listener` after every change. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** A rule that comes back as it was shown, without its secret, keeps the one it had. */
  #withSecret(rule: HostRule): HostRule {
    const old = this.#rules.get(rule.name)?.origin
    const { origin } = rule
    if (origin.type !== 's3' || old?.type !== 's3' || origin.secretAccessKey !== '') return rule
    if (origin.accessKeyId === '' || origin.accessKeyId !== old.accessKeyId) return rule
    return { ...rule, origin: { ...origin, secretAccessKey: old.secretAccessKey } }
  }

  #write(rules: Map<string, HostRule>): void {
    try {
      replaceFile(this.#path, `${JSON.stringify({ rules: [...rules.values()] }, undefined, 2)}\n`)
    } catch (cause) {
      throw storageError('the host rules cannot be written', cause)
    }
    this.#rules = rules
    this.#tell()
  }

  #read(): readonly HostRule[] {
    let text: string
    try {
      text = readFileSync(this.#path, 'utf8')
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw storageError('the host rules cannot be read', cause)
    }
    const parsed = rulesFile.safeParse(parseJson(text))
    if (parsed.success) return parsed.data.rules
    throw new KairoError(
      'ERR_CONFIG',
      `${this.#path} does not hold host rules: ${z.prettifyError(parsed.error)}`,
    )
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
