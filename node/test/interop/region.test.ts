/** Peers as a user starts them make up one region: they agree on it, go on when its leader is killed, and one alone decides for itself. */

import { t, test } from 'tap'
import { httpRequest } from '../support/http-get.ts'
import { type PeerProcess, runCliProcess, startPeer } from '../support/peer-process.ts'
import { type Region, regionOnce } from '../support/region-at.ts'
import { until } from '../support/until.ts'

// Whole peers, on a machine that has other things to do as well.
t.setTimeout(240_000)

const quiet = ['--no-ipfs', '--srt', 'off', '--rtmp', 'off']

/** What `kairo region --json` says. */
async function regionAt({ ready }: PeerProcess): Promise<Region> {
  const { stdout } = await runCliProcess(['region', '--json', '--home', ready.home])
  return JSON.parse(stdout) as Region
}

function leaderOf(region: Region): string | undefined {
  const leader = region.groups[0]?.leader
  return region.members.find(({ memberId }) => memberId === leader)?.peerId
}

function idsOf(peers: readonly PeerProcess[]): string[] {
  return peers.map(({ ready }) => ready.peerId).sort()
}

test('a peer alone is a region of one voter', async (t) => {
  const peer = await startPeer(t, `${t.testdir()}/home`, quiet)
  await regionOnce(peer, ({ hasQuorum }) => hasQuorum, 'the region')
  const region = await regionAt(peer)
  t.same(
    region.members.map(({ peerId, votes, leads }) => [peerId, votes, leads]),
    [[peer.ready.peerId, 17, 17]],
  )
  t.ok(region.groups.every(({ voters, hasQuorum }) => voters.length === 1 && hasQuorum))
  const { text } = await httpRequest(`${peer.ready.http}/health/ready`)
  t.match(JSON.parse(text), { status: 'ready', checks: { coordination: 'ok' } })
  t.equal(await peer.end('SIGTERM'), 0)
})

test('three peers make up one region, and go on when its leader is killed', async (t) => {
  const homes = t.testdir()
  const first = await startPeer(t, `${homes}/0`, quiet)
  const join = ['--join', first.ready.multiaddrs[0] as string]
  const others = await Promise.all(
    ['1', '2'].map((name) => startPeer(t, `${homes}/${name}`, [...quiet, ...join])),
  )
  const peers = [first, ...others]
  const isWhole = ({ groups }: Region): boolean =>
    groups.length === 17 && groups.every((one) => one.voters.length === 3 && one.hasQuorum)
  const views: Region[] = []
  for (const peer of peers) views.push(await regionOnce(peer, isWhole, 'the region of three'))
  t.same(new Set(views.map(({ regionId }) => regionId)).size, 1, 'one region')
  for (const { members } of views) {
    t.same(members.map(({ peerId }) => peerId).sort(), idsOf(peers))
  }
  t.equal(new Set(views.map(leaderOf)).size, 1, 'all name the same leader')
  const [view] = views
  const leader = peers.find(({ ready }) => ready.peerId === leaderOf(view as Region))
  t.ok(leader, 'which is one of them')
  await leader?.end('SIGKILL')
  const rest = peers.filter((peer) => peer !== leader)
  const isWell = (region: Region): boolean =>
    region.hasQuorum &&
    region.groups.every(({ hasQuorum }) => hasQuorum) &&
    leaderOf(region) !== leader?.ready.peerId
  const after: Region[] = []
  for (const peer of rest) after.push(await regionOnce(peer, isWell, 'another leader'))
  t.ok(idsOf(rest).includes(leaderOf(after[0] as Region) ?? ''), 'one of those that are left')
  t.ok((after[0]?.groups[0]?.term ?? 0) > (view?.groups[0]?.term ?? 0), 'of a later term')
  // On a busy machine another election may follow.
  await until(async () => {
    const doctor = await runCliProcess(['doctor', '--json', '--home', rest[0]?.ready.home ?? ''])
    const { checks } = JSON.parse(doctor.stdout) as { checks: { name: string; status: string }[] }
    return checks.find(({ name }) => name === 'region')?.status === 'ok'
  }, 'the doctor finds the region well')
  const status = await runCliProcess(['status', '--home', rest[0]?.ready.home ?? ''])
  t.match(status.stdout, /^region +default, \d members?$/m)
  for (const peer of rest) t.equal(await peer.end('SIGTERM'), 0)
})
