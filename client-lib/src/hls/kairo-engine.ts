/** This library's way to a player with a swarm. */
import type { HlsConfig } from 'hls.js'
import { HlsEngine, type KairoConfig } from './hls-engine.ts'
import { type HlsClass, mixInto } from './mixin.ts'

/** A player with an engine of its own. */
export type HlsWithKairo<Player> = Player & { readonly kairoEngine: KairoEngine }

/** The settings of such a player. */
export type HlsWithKairoConfig = Partial<HlsConfig> & { readonly kairo?: KairoConfig }

/** The class of such players; what hls.js has at its class is there, too. */
export type HlsWithKairoClass<Class extends HlsClass> = Omit<Class, 'prototype'> &
  (new (
    config?: HlsWithKairoConfig,
  ) => HlsWithKairo<InstanceType<Class>>)

/** A swarm for a player. */
export class KairoEngine extends HlsEngine {
  /**
   * Extends hls.js's class, or one made of it: its players take settings under `kairo` and have their engine at `kairoEngine`.
   *
   *     const HlsWithKairo = KairoEngine.injectMixin(Hls)
   *     const hls = new HlsWithKairo({ kairo: { edge: 'wss://edge.example/swarm' } })
   */
  static injectMixin<Class extends HlsClass>(hlsClass: Class): HlsWithKairoClass<Class> {
    const mixed = mixInto(
      ...([hlsClass, 'kairo', 'kairoEngine'] as const),
      (config: KairoConfig | undefined) => new KairoEngine(config),
      (config, engine) => config?.onReady?.(engine),
    )
    return mixed as unknown as HlsWithKairoClass<Class>
  }
}
