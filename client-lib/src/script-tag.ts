/** What a page without a bundler gets as `Kairo`: this library, and p2p-media-loader's names for it. */
export { HlsJsP2PEngine } from './compat.ts'
export { KairoEngine } from './hls/kairo-engine.ts'
