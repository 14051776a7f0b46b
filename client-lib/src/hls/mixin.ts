/** Classes of players that have an engine of their own. */
import type Hls from 'hls.js'
import type { HlsConfig } from 'hls.js'

/** What of an engine a player's class uses. */
export interface Mixed {
  getConfigForHlsJs(): object
  bindHls(hls: Hls): void
}

/** A class of players: hls.js's, or one made of it. */
// biome-ignore lint/suspicious/noExplicitAny: TypeScript takes no other arguments for a class to be extended (TS2545).
export type HlsClass = new (...args: any[]) => any

/**
 * Extends a class of players: the settings under `option` make an engine, which is found under `property`.
 * @param create makes the engine
 * @param onReady called when the player is made
 */
export function mixInto<Class extends HlsClass, Options, Engine extends Mixed>(
  hlsClass: Class,
  option: string,
  property: string,
  create: (options: Options | undefined) => Engine,
  onReady: (options: Options | undefined, engine: Engine, hls: InstanceType<Class>) => void,
): Class {
  return class extends hlsClass {
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    constructor(...args: any[]) {
      const { [option]: options, ...config } = (args[0] ?? {}) as Record<string, unknown> &
        Partial<HlsConfig>
      const engine = create(options as Options | undefined)
      super({ ...config, ...engine.getConfigForHlsJs() }, ...args.slice(1))
      Object.defineProperty(this, property, { value: engine, enumerable: true })
      engine.bindHls(this as unknown as Hls)
      onReady(options as Options | undefined, engine, this as InstanceType<Class>)
    }
  }
}
