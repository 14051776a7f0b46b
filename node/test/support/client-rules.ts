/** The rooms of client-lib/src as data, as docs/client.md says them; a new line here is a change of the architecture and is argued in its commit. */
import { PackageRules } from './package-rules.ts'

/** The house of the client library. */
export const clientRules = new PackageRules({
  folder: 'client-lib',
  rootFiles: {
    words: ['clock.ts', 'errors.ts'],
    entries: ['index.ts', 'compat.ts', 'script-tag.ts'],
  },
  mayImport: {
    words: [],
    protocol: ['words'],
    scheduler: ['protocol'],
    memory: ['words', 'protocol'],
    integrity: ['words', 'protocol'],
    signalling: ['words', 'protocol'],
    mesh: ['words', 'protocol', 'memory'],
    manners: ['words'],
    engine: [...['words', 'protocol', 'scheduler', 'memory', 'integrity', 'signalling', 'mesh']],
    seeing: ['words', 'protocol', 'manners', 'engine'],
    hls: ['words', 'protocol', 'integrity', 'engine', 'manners', 'seeing'],
    entries: ['words', 'protocol', 'engine', 'manners', 'seeing', 'hls'],
  },
  packageRooms: { 'hls.js': ['hls', 'entries'] },
  entries: ['index.ts', 'compat.ts', 'script-tag.ts', 'seeing/overlay.ts', 'protocol/index.ts'],
  knowTime: ['clock.ts', 'hls'],
  users: ['bench', 'node/src'],
})
