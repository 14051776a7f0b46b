/** What browsers tell of the device and its network. None of it is everywhere: Firefox and Safari tell nothing of the network and the battery. */

/** Tells that something about it changed. */
interface Changing {
  addEventListener(name: string, listener: () => void): void
  removeEventListener(name: string, listener: () => void): void
}

/** `navigator.connection` (Network Information API). */
export interface NetworkConnection extends Changing {
  /** `cellular`, `wifi`, …; desktops tell it rarely. */
  readonly type?: string
  /** The viewer asked for less data. */
  readonly saveData?: boolean
}

/** What `navigator.getBattery()` gives (Battery Status API). */
export interface Battery extends Changing {
  /** 0 to 1. */
  readonly level: number
  readonly charging: boolean
}

/** `document`, as far as it is looked at. */
export interface PageDocument extends Changing {
  readonly visibilityState: string
}

/** What there is of it. */
export interface BrowserObjects {
  readonly connection?: NetworkConnection | undefined
  readonly getBattery?: (() => Promise<Battery>) | undefined
  readonly document?: PageDocument | undefined
}

/** Those of this page. */
export function browserObjects(): BrowserObjects {
  const { navigator, document } = globalThis as { navigator?: object; document?: PageDocument }
  const told = (navigator ?? {}) as {
    connection?: NetworkConnection
    getBattery?: () => Promise<Battery>
  }
  return { connection: told.connection, getBattery: told.getBattery?.bind(navigator), document }
}
