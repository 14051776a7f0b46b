/**
 * Who keeps objects. Each gives its word for itself and takes back only its own: an object stays until nobody keeps it any more. Whoever
 * keeps an object for several reasons counts them itself.
 */

/** Those who keep: the operator by the API, and pinned IPFS trees. The catalog writes each as the bit of its place. */
export const keepers = ['operator', 'ipfs'] as const

/** One who keeps. */
export type Keeper = (typeof keepers)[number]

/** Several keepers in one number; 0 is nobody. */
export type KeeperBits = number

/** The bit of one keeper. */
export function bitOf(keeper: Keeper): KeeperBits {
  return 1 << keepers.indexOf(keeper)
}

/** The keepers of a number. Those that only a later version knows are not among them. */
export function keepersIn(bits: KeeperBits): Keeper[] {
  return keepers.filter((keeper) => (bits & bitOf(keeper)) !== 0)
}
