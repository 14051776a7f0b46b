/** Builds the watch and the admin page into `dist/`, which the peer serves from RAM under a strict content policy. */

import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const page = (name: string) => fileURLToPath(new URL(name, import.meta.url))

// biome-ignore lint/style/noDefaultExport: Vite reads its settings from the default export.
export default defineConfig({
  root: page('.'),
  base: '/',
  build: {
    target: 'es2022',
    // The content policy allows no data: addresses, and a file is cached better than a copy in each page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // hls.js is one chunk by itself, loaded with the player.
    chunkSizeWarningLimit: 700,
    rollupOptions: { input: { watch: page('index.html'), admin: page('admin.html') } },
  },
})
