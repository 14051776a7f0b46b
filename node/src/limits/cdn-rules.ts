/** Bounds of what the cache's rules read out of messages. */
export const cdnRuleLimits = {
  /** Seconds; RFC 9111 1.2.2 has larger values count as 2^31, which is 68 years. */
  deltaSecondsMax: 2_147_483_648,
  /** A heuristic lifetime (RFC 9111 4.2.2) ends here, however old the representation is: a day, as the RFC's own warning had it. */
  heuristicSecondsMax: 86_400,
  /** A response that seems to come from the future by more than this was stored under another clock, and its age is unknown. */
  clockBackMsMax: 5_000,
  /** `Date` this much later than `Last-Modified` makes the latter a strong validator, whatever the clocks (RFC 9110 8.8.2.2). */
  strongDateSecondsMin: 60,
  /** Names in a `Vary`; a response that varies on more has no second reader. */
  varyNamesMax: 32,
  /** Characters of the request's fields that `Vary` names, together; they become part of the index. */
  varyCharsMax: 4_096,
  /** Codings, languages and the like that are looked at in one `Accept-…` field. */
  acceptItemsMax: 64,
  /** Tags of one response; a response with more could not be purged by all of them, and is not stored. */
  tagsMax: 256,
  /** Characters of one tag. */
  tagCharsMax: 1_024,
  /** Characters of all tags of one response: what other networks take. */
  tagsCharsMax: 16_384,
  /** Ranges of one request (RFC 9110 14.2); a request for more gets the whole. */
  rangesMax: 16,
  /** Ranges that lie closer than this are answered as one: the head of a part costs as much (RFC 9110 15.3.7.2). */
  rangeGapBytesMax: 80,
  /** Entity tags that one validation names (RFC 9111 4.3.1). */
  validatorsMax: 8,
  /** Characters of one entity tag. */
  entityTagCharsMax: 1_024,
  /** Fields that a `Connection` can name in one message. */
  connectionOptionsMax: 64,
  /** Digits in a `Max-Forwards` (RFC 9110 7.6.2). */
  maxForwardsDigitsMax: 9,
  /** Characters of a forwarded chain (`X-Forwarded-For`, `Forwarded`, `Via`, `Cache-Status`) that are handed on; more of it is dropped. */
  chainCharsMax: 4_096,
} as const
