/** The reference client of the protocol, bittorrent-tracker from npm, at our tracker. Connections of its peers are tried in a browser (test/interop). */
import { once } from 'node:events'
import Client from 'bittorrent-tracker/client'
import { test } from 'tap'
import { startSignalling } from '../support/signalling-stage.ts'

test('the reference client announces, completes, scrapes and stops', async (t) => {
  const { url, count, counted } = await startSignalling(t)
  const client = new Client({
    infoHash: Buffer.alloc(20, 0xc8),
    peerId: Buffer.from('-TS0001-abcdefghijkl'),
    announce: [url],
    port: 6881,
  })
  const warnings: string[] = []
  client.on('warning', (error) => warnings.push(error.message))
  client.on('error', (error) => warnings.push(error.message))
  const next = async (name: 'update' | 'scrape') => (await once(client, name))[0] as unknown
  // Without offers: those need ten seconds of WebRTC outside of browsers.
  const started = next('update')
  client.start({ numwant: 0 })
  t.match(await started, { complete: 0, incomplete: 1, interval: 60 })
  const completed = next('update')
  client.complete()
  t.match(await completed, { complete: 1, incomplete: 0 })
  const scraped = next('scrape')
  client.scrape()
  t.match(await scraped, { infoHash: 'c8'.repeat(20), complete: 1, incomplete: 0, downloaded: 1 })
  const stopped = next('update')
  client.stop()
  t.match(await stopped, { complete: 0, incomplete: 0 })
  t.equal(await count('swarms'), 0)
  client.destroy()
  await counted(0, 'connections')
  t.strictSame(warnings, [])
})
