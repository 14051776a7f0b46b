/** The version of this build, from the package itself. */
import packageJson from '../package.json' with { type: 'json' }

/** Semantic version, for example `0.1.0`. */
export const KAIRO_VERSION: string = packageJson.version
