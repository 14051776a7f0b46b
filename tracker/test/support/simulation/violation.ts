/** What a simulation throws when something happened that must never happen. */

/** A broken promise. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** @throws Violation unless something holds */
export function promise(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new Violation(message())
}
