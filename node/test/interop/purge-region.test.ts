/**
 * Whole peers of one region: one is killed, purges are made, their issuer is killed too and comes back, and so does the first. It serves
 * nothing that was purged, and the issuer knows of whom it is waiting.
 */
import { join } from 'node:path'
import { t as root, test } from 'tap'
import {
  askSite,
  cdnArguments,
  isHit,
  type PurgeView,
  purgeAt,
  purgesOf,
  untilAcquainted,
} from '../support/cdn-peers.ts'
import { type PeerProcess, startPeer } from '../support/peer-process.ts'
import { untilThreeVoters } from '../support/region-at.ts'
import { until } from '../support/until.ts'
import { SITE_HOST, startVersionedOrigin, versionIn } from '../support/versioned-origin.ts'

root.setTimeout(300_000)

const PURGED = '/news/2000'
const KEPT = '/logo/3000'
const SELECTOR = { by: 'url', url: `http://${SITE_HOST}${PURGED}` } as const

const statusOf = (report: PurgeView | undefined, { ready }: PeerProcess) =>
  report?.peers.find(({ peerId }) => peerId === ready.peerId)?.status

test('purges outlive their issuer, and whoever was away', async (t) => {
  const origin = await startVersionedOrigin()
  t.teardown(() => origin.stop())
  const folder = t.testdir({})
  const begin = (name: string, more: readonly string[]): Promise<PeerProcess> =>
    startPeer(t, join(folder, name), [
      ...[...cdnArguments(origin.url), '--peer-https', 'off'],
      ...more,
    ])
  let issuer = await begin('issuer', [])
  const [address = ''] = issuer.ready.multiaddrs
  const beginAway = () => begin('away', ['--join', address])
  const [away, third] = await Promise.all([beginAway(), begin('third', ['--join', address])])
  // Of three voters any two decide, and each of the three may go.
  await untilThreeVoters(third)
  // Before the first purge, with which what was cached is on disk: who is killed may lose its last half second.
  for (const path of [PURGED, KEPT]) {
    await until(async () => isHit(await askSite(away.ready.http, path)), 'a cached response')
  }
  await untilAcquainted([issuer.ready, away.ready, third.ready])
  const early = (await purgeAt(issuer.ready, { by: 'tag', tag: 'early' })).id
  await until(async () => {
    const told = (await purgesOf(away.ready)).purges.find(({ id }) => id === early)
    return told?.complete === true && !told.degraded
  }, 'the other peer tells of it, as the log has it')

  await away.end('SIGKILL')
  origin.bump(PURGED)
  const report = await purgeAt(issuer.ready, SELECTOR)
  t.match(report, { complete: false, degraded: false })
  await issuer.end('SIGKILL')
  // It comes back under the port that it had.
  issuer = await begin('issuer', [])
  const told = async () => (await purgesOf(issuer.ready)).purges.find(({ id }) => id === report.id)
  // It has the purge on its own disk, and in a moment the log of the region, which says that it is there and for whom it waits.
  await until(async () => {
    const known = await told()
    return known?.degraded === false && statusOf(known, away) === 'away'
  }, 'the issuer knows of its purge, and whom it waits for')
  t.match(await told(), { complete: false, issuer: issuer.ready.peerId })

  const back = await beginAway()
  const first = await askSite(back.ready.http, PURGED)
  t.equal(versionIn(PURGED, first), 2, 'not even its first answer is from before')
  await until(async () => (await purgesOf(back.ready)).caughtUp, 'it has caught up')
  t.equal(versionIn(PURGED, await askSite(back.ready.http, PURGED)), 2)
  await until(async () => (await told())?.complete === true, 'the issuer hears that it is done')
  t.equal(statusOf(await told(), back), 'done')
  t.equal(origin.requests(KEPT), 1, 'what was not purged is there as it was')
  t.ok(isHit(await askSite(back.ready.http, KEPT)))
})
