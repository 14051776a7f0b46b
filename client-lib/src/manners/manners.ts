/** How much this page may take from others and give to them, by what the viewer wants and what the device and its network can bear. */
import type { Battery, BrowserObjects } from './browser-objects.ts'
import { mannersLimits as limits } from './limits.ts'

/** What is allowed. */
export interface Allowed {
  /** Parts from other pages. */
  readonly mayTake: boolean
  /** Parts to other pages; else `uploadBps` is 0. */
  readonly mayGive: boolean
  /** The most that may be sent, bits a second. */
  readonly uploadBps: number
  /** Why not everything is allowed, for people; undefined when it is. */
  readonly why: string | undefined
}

/** How it is set up. */
export interface MannersInit {
  /** Kbit/s; 0: nothing is sent. Default 10,000. */
  readonly uploadKbps?: number | undefined
  /** The viewer's switch. Default true. */
  readonly isSharing?: boolean | undefined
  /** Whether the page sends on a cellular network. Default false. */
  readonly givesOnCellular?: boolean | undefined
  /** Told when what is allowed changes, not at the start. */
  readonly onChange: (allowed: Allowed) => void
}

/**
 * The manners of a page. Taken is from others unless the viewer switched it off: it costs what HTTP would. Nothing is given on a cellular network, with
 * the data saver, from a battery below 20 % that is not charged, and from a hidden tab that does not play. What a browser does not tell is taken as
 * no hindrance.
 */
export class Manners {
  readonly #browser: BrowserObjects
  readonly #init: MannersInit
  readonly #look = (): void => this.#update()
  #uploadKbps: number
  #isSharing: boolean
  #isPlaying = true
  #battery: Battery | undefined
  #isStarted = false
  #allowed: Allowed

  constructor(browser: BrowserObjects, init: MannersInit) {
    this.#browser = browser
    this.#init = init
    this.#uploadKbps = init.uploadKbps ?? limits.uploadKbpsDefault
    this.#isSharing = init.isSharing ?? true
    this.#allowed = this.#judge()
  }

  /** What is allowed now. */
  get allowed(): Allowed {
    return this.#allowed
  }

  /** Listens to the browser from now on. */
  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    const { connection, document, getBattery } = this.#browser
    connection?.addEventListener('change', this.#look)
    document?.addEventListener('visibilitychange', this.#look)
    this.#update()
    if (getBattery !== undefined) void this.#askForBattery(getBattery)
  }

  stop(): void {
    if (!this.#isStarted) return
    this.#isStarted = false
    this.#browser.connection?.removeEventListener('change', this.#look)
    this.#browser.document?.removeEventListener('visibilitychange', this.#look)
    this.#battery?.removeEventListener('levelchange', this.#look)
    this.#battery?.removeEventListener('chargingchange', this.#look)
    this.#battery = undefined
  }

  /** The viewer's switch: off, nothing is taken or given. */
  setSharing(isOn: boolean): void {
    this.#isSharing = isOn
    this.#update()
  }

  /** The most that is sent from now on, kbit/s; 0: nothing. */
  setUpload(kbps: number): void {
    this.#uploadKbps = kbps
    this.#update()
  }

  /** Whether the player plays; until it is told it is taken to. */
  setPlaying(isPlaying: boolean): void {
    this.#isPlaying = isPlaying
    this.#update()
  }

  async #askForBattery(getBattery: () => Promise<Battery>): Promise<void> {
    let battery: Battery
    try {
      battery = await getBattery()
    } catch {
      // The page's policy forbids it: as if the browser had none.
      return
    }
    if (!this.#isStarted || this.#battery !== undefined) return
    this.#battery = battery
    battery.addEventListener('levelchange', this.#look)
    battery.addEventListener('chargingchange', this.#look)
    this.#update()
  }

  #update(): void {
    const [before, now] = [this.#allowed, this.#judge()]
    this.#allowed = now
    const isSame =
      before.mayTake === now.mayTake && before.uploadBps === now.uploadBps && before.why === now.why
    if (!isSame) this.#init.onChange(now)
  }

  #judge(): Allowed {
    if (!this.#isSharing) {
      return { mayTake: false, mayGive: false, uploadBps: 0, why: 'sharing is switched off' }
    }
    const why = this.#hindrance()
    const mayGive = why === undefined
    return { mayTake: true, mayGive, uploadBps: mayGive ? this.#uploadKbps * 1_000 : 0, why }
  }

  /** What keeps the page from giving. */
  #hindrance(): string | undefined {
    const { connection, document } = this.#browser
    const battery = this.#battery
    // Written so that NaN is nothing, too.
    if (!(this.#uploadKbps > 0)) return 'uploads are set to nothing'
    if (connection?.saveData) return 'the data saver is on'
    if (connection?.type === 'cellular' && !this.#init.givesOnCellular) {
      return 'the network is cellular'
    }
    if (battery !== undefined && !battery.charging && battery.level < limits.batteryLevelMin) {
      return 'the battery is low'
    }
    if (document?.visibilityState === 'hidden' && !this.#isPlaying) {
      return 'the tab is hidden and does not play'
    }
    return undefined
  }
}
