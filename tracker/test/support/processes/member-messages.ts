/** What a member's process and the test that started it say to each other. */
import type { RegionView } from '../../../src/region/region-view.ts'

/** To the member. */
export type MemberOrder =
  | { readonly type: 'know'; readonly ports: Readonly<Record<string, number>> }
  | { readonly type: 'cut'; readonly peerIds: readonly string[] }
  | { readonly type: 'view'; readonly id: number }

/** From the member. */
export type MemberReport =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'view'; readonly id: number; readonly view: RegionView | undefined }
