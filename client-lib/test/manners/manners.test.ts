/** What is allowed, as the viewer, the device and its network change. */
import { type Test, test } from 'tap'
import { type BrowserObjects, browserObjects } from '../../src/manners/browser-objects.ts'
import { type Allowed, Manners, type MannersInit } from '../../src/manners/manners.ts'

/** A part of a browser that says when it changes. */
class Changing<State extends object> extends EventTarget {
  listeners = 0

  constructor(state: State) {
    super()
    Object.assign(this, state)
  }

  set(name: string, state: Partial<State>): void {
    Object.assign(this, state)
    this.dispatchEvent(new Event(name))
  }

  override addEventListener(name: string, listener: () => void): void {
    this.listeners += 1
    super.addEventListener(name, listener)
  }

  override removeEventListener(name: string, listener: () => void): void {
    this.listeners -= 1
    super.removeEventListener(name, listener)
  }
}

function changing<State extends object>(state: State): Changing<State> & State {
  return new Changing(state) as Changing<State> & State
}

function begin(
  t: Test,
  browser: BrowserObjects,
  init: Omit<MannersInit, 'onChange'> = {},
): { manners: Manners; told: Allowed[] } {
  const told: Allowed[] = []
  const manners = new Manners(browser, { ...init, onChange: (allowed) => told.push(allowed) })
  manners.start()
  t.teardown(() => manners.stop())
  return { manners, told }
}

const all = { mayTake: true, mayGive: true, uploadBps: 10_000_000, why: undefined }
const take = { mayTake: true, mayGive: false, uploadBps: 0 }

test('a browser that tells nothing hinders nothing', async (t) => {
  const { manners, told } = begin(t, {})
  t.strictSame(manners.allowed, all)
  t.strictSame(told, [])
})

test('a cellular network and the data saver end uploads, and a better one begins them', async (t) => {
  const connection = changing({ type: 'wifi', saveData: false })
  const { manners, told } = begin(t, { connection })
  connection.set('change', { type: 'cellular' })
  connection.set('change', { type: 'cellular' })
  t.match(told, [{ ...take, why: /cellular/ }], 'told once')
  connection.set('change', { type: 'wifi', saveData: true })
  t.match(manners.allowed, { ...take, why: /saver/ })
  connection.set('change', { saveData: false })
  t.strictSame(told.at(-1), all)
  t.equal(told.length, 3)
  t.match(
    begin(t, { connection: changing({ type: 'cellular' }) }, { givesOnCellular: true }).manners
      .allowed,
    all,
  )
})

test('a low battery ends uploads unless it is being charged', async (t) => {
  const battery = changing({ level: 0.2, charging: false })
  const { told } = begin(t, { getBattery: async () => battery })
  await Promise.resolve()
  battery.set('levelchange', { level: 0.19 })
  battery.set('chargingchange', { charging: true })
  battery.set('levelchange', { level: 0.1 })
  battery.set('chargingchange', { charging: false })
  t.match(told, [{ ...take, why: /battery/ }, all, { ...take, why: /battery/ }])
})

test('a battery that may not be asked is none', async (t) => {
  const { manners, told } = begin(t, { getBattery: () => Promise.reject(new Error('policy')) })
  await new Promise(setImmediate)
  t.strictSame([manners.allowed, told], [all, []])
})

test('a hidden tab gives while it plays', async (t) => {
  const document = changing({ visibilityState: 'visible' })
  const { manners, told } = begin(t, { document })
  manners.setPlaying(false)
  manners.setPlaying(true)
  document.set('visibilitychange', { visibilityState: 'hidden' })
  t.strictSame(told, [])
  manners.setPlaying(false)
  document.set('visibilitychange', { visibilityState: 'visible' })
  t.match(told, [{ ...take, why: /hidden/ }, all])
})

test('the viewer switches it off and on', async (t) => {
  const { manners, told } = begin(t, {}, { isSharing: false })
  t.match(manners.allowed, { mayTake: false, mayGive: false, uploadBps: 0, why: /switched off/ })
  manners.setSharing(true)
  t.strictSame(told, [all])
})

test('the cap is in kbit/s, and nothing is a cap, too', async (t) => {
  const { manners, told } = begin(t, {}, { uploadKbps: 500 })
  t.equal(manners.allowed.uploadBps, 500_000)
  manners.setUpload(750)
  manners.setUpload(0)
  manners.setUpload(Number.NaN)
  t.match(told, [
    { uploadBps: 750_000, mayGive: true },
    { ...take, why: /nothing/ },
  ])
})

test('after its end it listens to nothing', async (t) => {
  const connection = changing({ type: 'wifi' })
  const document = changing({ visibilityState: 'visible' })
  const battery = changing({ level: 1, charging: true })
  const { manners, told } = begin(t, { connection, document, getBattery: async () => battery })
  manners.start()
  await new Promise(setImmediate)
  t.strictSame(
    [connection, document, battery].map(({ listeners }) => listeners),
    [1, 1, 2],
  )
  manners.stop()
  manners.stop()
  t.strictSame(
    [connection, document, battery].map(({ listeners }) => listeners),
    [0, 0, 0],
  )
  const late = begin(t, { getBattery: async () => battery }).manners
  late.stop()
  await new Promise(setImmediate)
  t.equal(battery.listeners, 0, 'nor to a battery that comes late')
  t.strictSame(told, [])
})

test('outside of a browser there is nothing to look at', async (t) => {
  const found = browserObjects()
  t.strictSame(
    [found.connection, found.getBattery, found.document],
    [undefined, undefined, undefined],
  )
})
