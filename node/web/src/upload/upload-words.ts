/** What goes wrong with uploads, in words for those who upload; and whether somebody may. */

import type { Library } from '../shared/api.ts'
import { bytes } from '../shared/format.ts'

const loopbackName = /^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])$/

/** Whether this page shows a way to upload: at the peer's own machine, and to its operator, as the peer says. */
export function mayUpload(
  uploads: Library['uploads'] | undefined,
  hostname: string,
  token: string | undefined,
): boolean {
  if (uploads === undefined || uploads.access === 'off') return false
  return token !== undefined || (uploads.access === 'local' && loopbackName.test(hostname))
}

/** Why a file is not even tried; undefined when it may be. */
export function refusalOf(file: { readonly size: number }, bytesMax: number): string | undefined {
  if (file.size === 0) return 'The file is empty.'
  if (file.size > bytesMax) return `It is larger than this peer takes (${bytes(bytesMax)}).`
  return undefined
}

/** A refusal by the peer; `status` 0 stands for no answer, `body` is its problem document. */
export function failureWords(status: number, body: string): string {
  const fixed: Readonly<Record<number, string>> = {
    0: 'The connection to the peer is broken. Go on when it is back.',
    401: 'This peer takes files of its operator only: sign in on the admin page first.',
    403: 'This peer takes files of its operator only: sign in on the admin page first.',
    404: 'The peer has forgotten this upload. Start it again.',
    410: 'The peer has forgotten this upload. Start it again.',
    413: 'It is larger than this peer takes.',
  }
  return fixed[status] ?? detailOf(body) ?? `The peer answered with status ${status}.`
}

/** The sentence of a problem document, with a capital and a full stop. */
function detailOf(body: string): string | undefined {
  try {
    const { detail } = JSON.parse(body) as { detail?: unknown }
    if (typeof detail !== 'string' || detail === '') return undefined
    const text = detail[0]?.toUpperCase() + detail.slice(1)
    return /[.!?]$/.test(text) ? text : `${text}.`
  } catch {
    return undefined
  }
}
