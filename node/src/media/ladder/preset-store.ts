/** The presets that there are: the built-in ones and those of the operator, read once when the peer starts. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { z } from 'zod'
import { KairoError } from '../../errors.ts'
import { parseJson } from '../../json.ts'
import { ladderLimits } from '../../limits/ladder.ts'
import { heightPreset, isHeightName, type Preset, presetSchema } from './preset.ts'

/** A preset, its name and whose it is. */
export interface NamedPreset {
  readonly name: string
  readonly preset: Preset
  readonly builtIn: boolean
}

/** Where presets are read from. */
export interface PresetStoreInit {
  /** The operator's own, `*.json`; one named as a built-in one takes its place. The folder may be missing. */
  readonly directory: string
  /** Default: those that come with Kairo. */
  readonly builtInDirectory?: string
}

const namePattern = /^[a-z0-9][a-z0-9-]{0,31}$/

/** Presets by name. */
export class PresetStore {
  readonly #presets = new Map<string, NamedPreset>()

  /** @throws KairoError `ERR_CONFIG` that names the file and the field that is wrong. */
  constructor(init: PresetStoreInit) {
    const builtIn =
      init.builtInDirectory ?? fileURLToPath(new URL('../../../presets/', import.meta.url))
    for (const preset of readPresets(builtIn, true)) this.#presets.set(preset.name, preset)
    for (const preset of readPresets(init.directory, false)) {
      if (preset.name === 'source') {
        const file = join(init.directory, 'source.json')
        throw new KairoError('ERR_CONFIG', `${file}: "source" always means no transcoding`)
      }
      this.#presets.set(preset.name, preset)
    }
  }

  /**
   * The preset of a name, or the ladder that a height such as `720p` asks for.
   * @throws KairoError `ERR_INVALID_INPUT` when there is none, naming those that there are.
   */
  get(name: string): Preset {
    const known = this.#presets.get(name)
    if (known !== undefined) return known.preset
    const auto = this.#presets.get('auto')
    const made = auto === undefined ? undefined : heightPreset(name, auto.preset)
    if (made !== undefined) return made
    const names = [...this.#presets.keys()].join(', ')
    throw new KairoError(
      'ERR_INVALID_INPUT',
      `there is no quality "${name}": expected one of ${names}, or a height such as 720p`,
    )
  }

  /** Every preset that has a name of its own, in the order of the names. */
  list(): readonly NamedPreset[] {
    return [...this.#presets.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }
}

function readPresets(directory: string, builtIn: boolean): NamedPreset[] {
  return fileNames(directory, builtIn).map((file) => {
    const name = file.slice(0, -'.json'.length)
    const path = join(directory, file)
    if (!namePattern.test(name) || isHeightName(name)) {
      const rule = 'lower-case letters, digits and dashes, and no height such as 720p'
      throw new KairoError('ERR_CONFIG', `${path}: the name of a preset is ${rule}`)
    }
    return { name, preset: readPreset(path), builtIn }
  })
}

function fileNames(directory: string, required: boolean): string[] {
  try {
    const files = readdirSync(directory).filter((file) => file.endsWith('.json'))
    if (files.length > ladderLimits.presetsMax) {
      const limit = `at most ${ladderLimits.presetsMax} presets are read`
      throw new KairoError('ERR_CONFIG', `${directory} has ${files.length} files: ${limit}`)
    }
    return files.toSorted()
  } catch (cause) {
    if (cause instanceof KairoError) throw cause
    // Most operators have no presets of their own.
    if (!required && (cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new KairoError('ERR_CONFIG', `cannot read the presets in ${directory}`, { cause })
  }
}

function readPreset(path: string): Preset {
  let text: string
  try {
    if (statSync(path).size > ladderLimits.presetBytesMax) {
      throw new KairoError('ERR_CONFIG', `${path} is too large for a preset`)
    }
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if (cause instanceof KairoError) throw cause
    throw new KairoError('ERR_CONFIG', `cannot read the preset ${path}`, { cause })
  }
  const value = parseJson(text)
  if (value === undefined) throw new KairoError('ERR_CONFIG', `${path} is not JSON`)
  const parsed = presetSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(describeIssue).join('; ')
  throw new KairoError('ERR_CONFIG', `${path}: ${problems}`)
}

/** `video[2].kbps: Too small: expected number to be >=32`. */
function describeIssue({ path, message }: z.core.$ZodIssue): string {
  let field = ''
  for (const key of path) {
    if (typeof key === 'number') field += `[${key}]`
    else field += field === '' ? String(key) : `.${String(key)}`
  }
  return field === '' ? message : `${field}: ${message}`
}
