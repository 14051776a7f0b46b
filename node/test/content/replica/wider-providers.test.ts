/** Providers from two places: each is handed on as it comes, none twice, and neither waits for the other. */
import { test } from 'tap'
import { WiderProviders } from '../../../src/content/replica/wider-providers.ts'

const never = new AbortController().signal

/** A look-up whose finds a test lets out one by one. */
function stage(swarm: Promise<readonly string[]>) {
  const waiting: ((found: string | undefined) => void)[] = []
  const state = { steps: 0, isEnded: false, signal: never }
  const next = () => new Promise<string | undefined>((resolve) => waiting.push(resolve))
  const providers = {
    async *findProviders(_id: string, { signal }: { readonly signal: AbortSignal }) {
      state.signal = signal
      try {
        for (;;) {
          state.steps += 1
          const found = await next()
          if (found === undefined) return
          yield found
        }
      } finally {
        state.isEnded = true
      }
    },
    provide: () => {},
    cancel: () => {},
  }
  const wider = new WiderProviders({ providers, peersOf: () => swarm })
  const find = async (found: string | undefined): Promise<void> => {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve))
    waiting.shift()?.(found)
  }
  return { wider, find, state }
}

async function all(found: AsyncIterable<string>): Promise<string[]> {
  const peers: string[] = []
  for await (const peer of found) peers.push(peer)
  return peers
}

test('peers of both, each once', async (t) => {
  const { wider, find } = stage(Promise.resolve(['b', 'c']))
  const found = all(wider.findProviders('s', { signal: never }))
  for (const peer of ['a', 'b', undefined]) await find(peer)
  t.same((await found).sort(), ['a', 'b', 'c'])
})

test('what the DHT finds is there while the region says nothing, and the other way round', async (t) => {
  const silent = stage(new Promise(() => {}))
  const dht = silent.wider.findProviders('s', { signal: never })
  const first = dht.next()
  await silent.find('a')
  t.same(await first, { value: 'a', done: false })
  const other = stage(Promise.resolve(['b']))
  const region = other.wider.findProviders('s', { signal: never })
  t.same(await region.next(), { value: 'b', done: false })
})

test('whoever stops looking is not held up, and ends the look-up', async (t) => {
  const { wider, state } = stage(Promise.resolve(['b']))
  const found = wider.findProviders('s', { signal: never })
  await found.next()
  t.equal(state.steps, 1, 'a step is under way')
  await found.return()
  t.ok(state.signal.aborted)
})

test('a look-up goes no farther than it is asked to', async (t) => {
  const { wider, find, state } = stage(Promise.resolve([]))
  const found = wider.findProviders('s', { signal: never })
  const first = found.next()
  await find('a')
  await first
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(state.steps, 1)
  const second = found.next()
  await find(undefined)
  t.same(await second, { value: undefined, done: true })
  t.ok(state.isEnded)
})
