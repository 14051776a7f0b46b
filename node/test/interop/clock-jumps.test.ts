/**
 * Peers as processes whose wall clocks jump by an hour and back while clients ask them, by libfaketime: freshness and `Age`, adverts, the
 * certificates between peers and the order of purges outlive it, also where a peer starts with a wrong clock.
 */
import { globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import {
  askSite,
  type CdnPeer,
  cdnArguments,
  purgeAt,
  untilAcquainted,
} from '../support/cdn-peers.ts'
import { CdnWatch } from '../support/cdn-watch.ts'
import { httpRequest } from '../support/http-get.ts'
import { needs } from '../support/needs.ts'
import { type PeerProcess, startPeer } from '../support/peer-process.ts'
import { until } from '../support/until.ts'
import { SITE_HOST, startVersionedOrigin, versionIn } from '../support/versioned-origin.ts'

root.setTimeout(600_000)

const HOUR_S = 3_600
/** For what waits for rounds of questions, on a machine that is busy. */
const PATIENCE_MS = 150_000
const PATHS = ['/page/2000', '/picture/400003', '/film/2300007']

/** A peer that sees the time that its file says. */
interface Jumping {
  peer: CdnPeer
  process: PeerProcess
  /** Starts its process, again too. */
  readonly begin: () => Promise<void>
  /** Sets the wall clock of a process that does not run yet, in seconds from the true time. */
  readonly set: (seconds: number) => void
  /** Sets it while the process runs. */
  readonly jump: (seconds: number) => Promise<void>
}

async function startJumping(t: Test, home: string, args: readonly string[]): Promise<Jumping> {
  const [library = ''] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')
  const file = `${home}.time`
  const set = (seconds: number): void =>
    writeFileSync(file, `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}s`)
  set(0)
  const start = () =>
    startPeer(t, home, args, {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: '1',
      // Timers and everything else that runs by the monotonic clock does not jump on a real machine.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    })
  const process = await start()
  const jumping: Jumping = {
    peer: process.ready,
    process,
    set,
    begin: async () => {
      jumping.process = await start()
      jumping.peer = jumping.process.ready
    },
    jump: async (seconds) => {
      set(seconds)
      await until(async () => Math.abs((await offsetOf(jumping.peer)) - seconds) < 60, 'the jump')
    },
  }
  return jumping
}

/** How far a peer's wall clock is off, seconds. */
async function offsetOf({ admin }: CdnPeer): Promise<number> {
  const { headers } = await httpRequest(`${new URL(admin).origin}/health/live`)
  return (Date.parse(String(headers.date)) - Date.now()) / 1_000
}

/** Everybody answers, of an age that can be, and peers answer each other as shields: their certificates hold. */
async function servesWell(t: Test, peers: readonly CdnPeer[], name: string): Promise<void> {
  for (const path of PATHS) {
    for (const { http } of peers) {
      const answer = await askSite(http, path)
      t.equal(answer.status, 200, name)
      const age = String(answer.headers.age ?? '0')
      t.ok(/^\d+$/.test(age) && Number(age) <= 2 * HOUR_S + 60, `age ${age} ${name}`)
    }
  }
  const before = await shielded(peers)
  for (let index = 0; index < 8; index += 1) {
    const fresh = `/new-${name.replaceAll(/[^a-z0-9]+/gi, '-')}-${index}/${1_000 + index}`
    for (const { http } of peers) t.equal(versionIn(fresh, await askSite(http, fresh)), 1, name)
  }
  t.ok((await shielded(peers)) > before, `shields answer ${name}`)
}

/** Answers that peers have had of each other. */
async function shielded(peers: readonly CdnPeer[]): Promise<number> {
  const counts = peers.map(async ({ admin }) => {
    const { text } = await httpRequest(`${new URL(admin).origin}/metrics`)
    return Number(
      /^kairo_cdn_shield_requests_total\{result="answered"\} (\d+)$/m.exec(text)?.[1] ?? 0,
    )
  })
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

test('wall clocks that jump by an hour', { skip: needs('faketime') }, async (t) => {
  const origin = await startVersionedOrigin()
  t.teardown(() => origin.stop())
  const folder = t.testdir({})
  const steady = await startPeer(t, join(folder, 'steady'), cdnArguments(origin.url))
  const args = [...cdnArguments(origin.url), '--join', steady.ready.multiaddrs[0] ?? '']
  const [first, second] = await Promise.all([
    startJumping(t, join(folder, 'first'), args),
    startJumping(t, join(folder, 'second'), args),
  ])
  const everyone = (): CdnPeer[] => [steady.ready, first.peer, second.peer]
  await untilAcquainted(everyone())
  const watch = new CdnWatch(origin, PATHS)
  t.teardown(() => watch.stop())
  for (const peer of everyone()) watch.watch(peer, 1)

  const purges = async (name: string): Promise<void> => {
    for (const [index, peer] of everyone().entries()) {
      const path = PATHS[index] as string
      const selector = { by: 'url', url: `http://${SITE_HOST}${path}` } as const
      await watch.purge(peer, selector, [path])
      await watch.catchUp(peer, `all have done a purge of ${index} ${name}`, PATIENCE_MS)
    }
  }

  for (const seconds of [HOUR_S, -HOUR_S, 0]) {
    const name = `at ${seconds} s`
    await first.jump(seconds)
    await purges(name)
    await untilAcquainted(everyone())
    await servesWell(t, everyone(), name)
  }
  // Two of three together, in both directions.
  await Promise.all([first.jump(HOUR_S), second.jump(-HOUR_S)])
  await purges('apart')
  await untilAcquainted(everyone())
  await servesWell(t, everyone(), 'apart')
  await Promise.all([first.jump(0), second.jump(0)])
  await watch.stop()
  t.same(watch.violations, [])
})

test('a peer that starts with a wrong clock', { skip: needs('faketime') }, async (t) => {
  const origin = await startVersionedOrigin()
  t.teardown(() => origin.stop())
  const folder = t.testdir({})
  const steady = await startPeer(t, join(folder, 'steady'), cdnArguments(origin.url))
  const args = [...cdnArguments(origin.url), '--join', steady.ready.multiaddrs[0] ?? '']
  const wrong = await startJumping(t, join(folder, 'wrong'), args)
  await untilAcquainted([steady.ready, wrong.peer])
  for (const seconds of [HOUR_S, -HOUR_S]) {
    const name = `started at ${seconds} s`
    for (const path of PATHS) await askSite(wrong.peer.http, path)
    await wrong.process.end('SIGTERM')
    for (const path of PATHS) origin.bump(path)
    t.match(await purgeAt(steady.ready, { by: 'everything' }), { complete: true }, 'it had left')
    wrong.set(seconds)
    await wrong.begin()
    t.ok(Math.abs((await offsetOf(wrong.peer)) - seconds) < 60, name)
    for (const path of PATHS) {
      const floor = versionIn(path, await askSite(steady.ready.http, path))
      t.equal(versionIn(path, await askSite(wrong.peer.http, path)), floor, name)
    }
    for (const path of PATHS) origin.bump(path)
    await until(async () => {
      const { complete, peers } = await purgeAt(steady.ready, { by: 'everything' })
      return complete && peers.length === 2
    }, `a purge reaches it, ${name}`)
    for (const path of PATHS) {
      const floor = versionIn(path, await askSite(steady.ready.http, path))
      t.equal(versionIn(path, await askSite(wrong.peer.http, path)), floor, name)
    }
    await wrong.jump(0)
    await untilAcquainted([steady.ready, wrong.peer])
  }
})
