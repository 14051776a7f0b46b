/** How peers ask each other for responses of origins: by requests to one path, with these fields (docs/protocol/cdn-shield.md). */

/** Path of the requests. */
export const SHIELD_PATH = '/cdn'
/** Digest of the host rule, hex: a peer without that very rule does not answer. */
export const RULE_FIELD = 'kairo-cdn-rule'
/** The URL that is asked for. */
export const URL_FIELD = 'kairo-cdn-url'
/** What the asking peer has purged. */
export const PURGES_FIELD = 'kairo-cdn-purges'
/** Marks a response of the site, in place of a failure of the peer itself. */
export const ANSWER_FIELD = 'kairo-cdn-answer'
