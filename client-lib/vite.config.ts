/**
 * How the library is built for browsers: two modules and a script, each whole in itself, since a page takes one of them, and the overlay for who looks. Two things make them smaller than a
 * minifier does by itself: limits become numbers where they are used, and names of properties that are nobody else's become short.
 */
import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build, type InlineConfig, type Plugin, type Rolldown } from 'vite'

/** What is built: the file in `dist/`, from which entry, in which form. */
export const bundles = [
  { file: 'kairo-client.js', entry: 'index.ts', format: 'es' },
  { file: 'kairo-compat.js', entry: 'compat.ts', format: 'es' },
  { file: 'kairo-client.iife.js', entry: 'script-tag.ts', format: 'iife' },
  { file: 'kairo-overlay.js', entry: 'seeing/overlay.ts', format: 'es' },
] as const

/** One of them. */
export type Bundle = (typeof bundles)[number]

const folder = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** What pages, edges and browsers know by name: the wire, what pages see, objects of browsers that TypeScript's library lacks. */
const outerFiles = [
  ...['protocol/edge-messages.ts', 'protocol/mesh-messages.ts', 'manners/browser-objects.ts'],
  ...['index.ts', 'compat.ts', 'seeing/stats.ts', 'seeing/overlay.ts'],
  ...['hls/options.ts', 'hls/page-events.ts', 'hls/hls-engine.ts', 'hls/kairo-engine.ts'],
].map((name) => folder(`src/${name}`))

/**
 * Builds one of them.
 * @param isWritten into `dist/`, with its source map
 * @returns its code
 */
export async function buildBundle(bundle: Bundle, isWritten: boolean): Promise<string> {
  const config = await buildOf(bundle)
  const built = await build({
    ...config,
    build: { ...config.build, write: isWritten, sourcemap: isWritten },
  })
  const [first] = [built].flat() as Rolldown.RolldownOutput[]
  if (first === undefined) throw new Error('nothing was built')
  return first.output[0].code
}

/** The settings of one of them. hls.js is nowhere in it: only its types are used. */
async function buildOf({ file, entry, format }: Bundle): Promise<InlineConfig> {
  return {
    configFile: false,
    root: folder('.'),
    logLevel: 'warn',
    plugins: [await limitsAsNumbers()],
    build: {
      // Safari 16.4, Chromium 111, Firefox 113.
      target: 'es2022',
      outDir: folder('dist'),
      emptyOutDir: false,
      lib: {
        entry: folder(`src/${entry}`),
        name: 'Kairo',
        formats: [format],
        fileName: () => file,
      },
      rolldownOptions: {
        output: {
          comments: false,
          // Vite leaves the spaces in modules for bundlers to see what is pure; here nothing is lost by that.
          minify: {
            ...{ compress: true, mangle: true, codegen: true },
            mangleProps: { include: /./, reserved: outerNames() },
          },
        },
      },
    },
  }
}

const comments = /\/\*[\s\S]*?\*\/|\/\/.*$/gm

/** Every word that is a name somewhere outside: in the files above, in hls.js, in browsers; and every one that is a text in the sources. */
function outerNames(): string[] {
  // TypeScript 7 has its library beside the program, which is another package on each platform.
  const library = globSync(folder('../node_modules/@typescript/*/lib/lib.{dom,es}*.d.ts'))
  const hls = globSync(folder('../node_modules/hls.js/dist/hls.d.ts'))
  if (library.length === 0 || hls.length === 0) throw new Error('the types of browsers are missing')
  const words = new Set<string>()
  for (const file of [...library, ...hls, ...outerFiles]) {
    const code = readFileSync(file, 'utf8').replace(comments, '')
    for (const [word] of code.matchAll(/[A-Za-z_$][\w$]*/g)) words.add(word)
  }
  for (const file of globSync(folder('src/**/*.ts'))) {
    for (const [, word] of readFileSync(file, 'utf8').matchAll(/'([A-Za-z_$][\w$]*)'/g)) {
      words.add(word as string)
    }
  }
  return [...words]
}

/** Puts the numbers of the rooms' `limits.ts` where they are used. */
async function limitsAsNumbers(): Promise<Plugin> {
  const limits: Record<string, Record<string, unknown>> = {}
  for (const file of globSync(folder('src/*/limits.ts'))) Object.assign(limits, await import(file))
  const imports = /import \{([^}]*)\} from '[./\w-]*limits\.ts'/g
  return {
    name: 'limits-as-numbers',
    enforce: 'pre',
    transform(code) {
      let numbers = code
      for (const [, names = ''] of code.matchAll(imports)) {
        for (const [of = '', as = of] of names
          .split(',')
          .map((name) => name.trim().split(' as '))) {
          const known = limits[of] ?? {}
          numbers = numbers.replace(new RegExp(`\\b${as}\\.(\\w+)`, 'g'), (use, name) =>
            typeof known[name] === 'number' ? String(known[name]) : use,
          )
        }
      }
      return numbers === code ? undefined : { code: numbers, map: null }
    },
  }
}
