/**
 * p2p-media-loader's names for this engine, so that a page changes its import and the tracker's address, and nothing else. docs/migrating.md says which
 * settings and events mean the same, which do not, and which are not there.
 */
import type { HlsConfig } from 'hls.js'
import { HlsEngine } from './hls/hls-engine.ts'
import { type HlsClass, mixInto } from './hls/mixin.ts'
import type { CoreOptions, KairoOptions } from './hls/options.ts'

export type { CoreOptions } from './hls/options.ts'
export type { PageEvents as CoreEventMap } from './hls/page-events.ts'

/** Settings of an engine: `core` has p2p-media-loader's, beside it may stand this library's. */
export type PartialHlsJsP2PEngineConfig = KairoOptions & { readonly core?: CoreOptions }

/** Settings that may change while a player plays. */
export interface DynamicHlsJsP2PEngineConfig {
  readonly core?: Pick<CoreOptions, 'isP2PDisabled' | 'isP2PUploadDisabled' | 'mainStream'>
}

/** A player with an engine of its own. */
export type HlsWithP2PInstance<Player> = Player & { readonly p2pEngine: HlsJsP2PEngine }

/** The settings of such a player. */
export type HlsWithP2PConfig<Class extends HlsClass> = Partial<HlsConfig> & {
  readonly p2p?: PartialHlsJsP2PEngineConfig & {
    readonly onHlsJsCreated?: (hls: HlsWithP2PInstance<InstanceType<Class>>) => void
  }
}

/** The class of such players. */
export type HlsWithP2PClass<Class extends HlsClass> = Omit<Class, 'prototype'> &
  (new (
    config?: HlsWithP2PConfig<Class>,
  ) => HlsWithP2PInstance<InstanceType<Class>>)

/** The engine under p2p-media-loader's name. */
export class HlsJsP2PEngine extends HlsEngine {
  /** As p2p-media-loader's: its players take settings under `p2p` and have their engine at `p2pEngine`. */
  static injectMixin<Class extends HlsClass>(hlsClass: Class): HlsWithP2PClass<Class> {
    type Options = NonNullable<HlsWithP2PConfig<Class>['p2p']>
    const mixed = mixInto(
      ...([hlsClass, 'p2p', 'p2pEngine'] as const),
      (config: Options | undefined) => new HlsJsP2PEngine(config),
      (config, _, hls) => config?.onHlsJsCreated?.(hls as HlsWithP2PInstance<InstanceType<Class>>),
    )
    return mixed as unknown as HlsWithP2PClass<Class>
  }

  /** Turns P2P, or uploads, off or on again. */
  applyDynamicConfig({ core }: DynamicHlsJsP2PEngineConfig): void {
    const { isP2PDisabled, isP2PUploadDisabled } = { ...core, ...core?.mainStream }
    if (isP2PDisabled !== undefined) this.setSharing(!isP2PDisabled)
    if (isP2PUploadDisabled !== undefined) this.setUpload(isP2PUploadDisabled ? 0 : undefined)
  }
}
