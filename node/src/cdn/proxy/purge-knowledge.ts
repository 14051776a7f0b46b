/** What the cache has to know of the purges of the network. */

/** Which purges were carried out here. */
export interface PurgeKnowledge {
  /** False while this peer may have missed purges: what is cached is then asked for anew before it is served. */
  ready(): boolean
  /** All purges that were carried out here, in a form for another peer's {@link PurgeKnowledge.covers}; fit for a header field. */
  stamp(): string
  /** True when all purges of the stamp were carried out here too; false for one that cannot be read. */
  covers(stamp: string): boolean
}
