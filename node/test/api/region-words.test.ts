/** The region in the words that the command line and the admin page share. */
import { test } from 'tap'
import type { z } from 'zod'
import {
  conflictAdvice,
  groupLag,
  groupLeader,
  groupState,
  leaseLeft,
  memberLoad,
  memberState,
  ownerWords,
  regionFacts,
  regionNotices,
  regionState,
  tokenWords,
} from '../../src/api/region-words.ts'
import { ownersSchema, regionSchema } from '../../src/api/schemas-region.ts'
import { regionAnswers } from '../support/fake-region-answers.ts'

type Region = z.output<typeof regionSchema>

const answers = regionAnswers()
const whole = regionSchema.parse(answers.region)
const owners = ownersSchema.parse(answers.streamOwners)
const member = whole.members[1] as Region['members'][number]
const group = whole.groups[1] as Region['groups'][number]

function look(more: Partial<Region>): string[] {
  const region = { ...whole, groups: [group], ...more }
  const { word, status } = regionState(region)
  const notices = regionNotices(region).map((each) => `${each.status} ${each.text} ${each.hint}`)
  return [`${status} ${word}`, ...notices]
}

test('a region that works, and what can be wrong with it', async (t) => {
  t.same(look({}), ['ok decides things'])
  t.match(look({ groups: whole.groups }), ['ok decides', /^warn 1 of 17 groups .* elect a leader/])
  const lost = { hasQuorum: false }
  t.match(look(lost), ['warn no quorum', /^warn .*just now/])
  t.match(look({ ...lost, isDegraded: true }), [
    'fail no quorum for long',
    new RegExp(`^fail Too few .*unconfirmed.*forget ${whole.regionId} --lose-data`),
  ])
  t.match(look({ ...lost, isDegraded: true, error: 'too late', members: [] }).slice(2), [
    /^warn The members could not be asked: too late\. What is told here/,
  ])
  const away = { ...lost, phase: 'looking' }
  t.match(look(away), ['warn in no region (looking)', /^warn This peer looks for its region/])
  t.match(look({ ...away, waitsFor: 'cafe' }), [/looking/, /waits for the region cafe.*forget/])
  t.match(look({ ...away, phase: 'new' }), [/\(new\)/, /^warn This peer is in no region\. $/])
})

test('engines that do not run', async (t) => {
  const failed = { state: 'failed', error: 'no space', hasQuorum: false } as const
  t.match(look(failed), ['fail failed', /^fail The tracker .* no longer: no space\..*doctor/])
  t.match(look({ state: 'starting' }), ['warn starting', 'warn The tracker is starting.'])
  const etcd = { engine: 'etcd', phase: null, hasQuorum: false } as const
  t.same(look(etcd), ['ok etcd decides'])
  t.match(look({ ...etcd, state: 'starting' }), [/starting/, 'warn The etcd client is starting.'])
  t.match(look({ ...etcd, ...failed }), [
    'fail failed',
    /^fail etcd .*: no space\..*coordinationUrl/,
  ])
})

test('the facts, and who the others are where no members can be told', async (t) => {
  const names = (region: Region) => regionFacts(region).map(([name]) => name)
  t.same(names(whole), ['region', 'state', 'engine', 'this peer', 'region id', 'founded'])
  t.same(new Map(regionFacts(whole)).get('this peer'), 'member 1')
  const alone = new Map(regionFacts({ ...whole, members: [], error: 'too late' }))
  t.equal(alone.get('other members'), whole.contacts.join(' '))
  t.equal(alone.get('engine'), 'tracker, running', 'why is told by a notice')
  t.notOk(names({ ...whole, engine: 'etcd' }).includes('this peer'))
})

test('members, by what the region knows and by what this peer sees', async (t) => {
  const state = (more: Partial<typeof member>, hasQuorum = true): string =>
    Object.values(memberState({ ...member, ...more }, { hasQuorum })).join()
  t.equal(state({}), 'there,ok')
  t.equal(state({ isReachable: false }), 'there, not reachable,ok')
  t.equal(state({ isLeaving: true }), 'leaving,warn')
  t.equal(state({ isAlive: false }), 'away,fail')
  t.equal(state({ isConnected: false }), 'there,ok', 'not all are connected')
  t.equal(state({}, false), 'connected,ok')
  t.equal(state({ isConnected: false }, false), 'not connected,fail')
  t.equal(state({ isSelf: true, isConnected: false }, false), 'there,ok')
  t.same([memberLoad(member), memberLoad({ ...member, isAlive: false })], ['25 %', ''])
})

test('groups, and other regions of the name', async (t) => {
  const lag = [
    { memberId: 1, entries: 0, isActive: true },
    { memberId: 2, entries: 15, isActive: true },
    { memberId: 3, entries: 9, isActive: false },
  ]
  t.equal(groupLag({ ...group, lag }), '2: 15, 3: silent')
  t.equal(groupLag({ ...group, lag: lag.slice(0, 1) }), '0')
  t.equal(groupLag({ ...group, lag: [], hasQuorum: false }), 'not known')
  t.same([groupLeader(group), groupLeader({ ...group, leader: null })], ['2', 'none'])
  t.same([groupState(group), groupState({ ...group, isChanging: true })], ['', 'changing'])
  const conflict = whole.conflicts[0] as Region['conflicts'][number]
  t.match(conflictAdvice(conflict), /^That one is to give way/)
  t.match(conflictAdvice({ ...conflict, isOursToGiveWay: true }), /^Ours is to give way/)
  t.match(conflictAdvice({ ...conflict, isRefused: true }), /regionPeers there/)
})

test('owners of streams', async (t) => {
  const [other, own] = owners.streams as [(typeof owners.streams)[0], (typeof owners.streams)[0]]
  t.same([ownerWords(own), ownerWords(other)], ['this peer', other.owner])
  t.equal(ownerWords({ ...other, owner: null }), 'a peer of another version')
  t.same([leaseLeft(own, 3_000), leaseLeft(other, 3_000)], ['2.4 s left', 'renewed within 3 s'])
  t.equal(leaseLeft({ ...own, leftMs: -1 }, 3_000), '0.0 s left')
  t.equal(tokenWords(own), 'term 3, entry 120')
  const free = { ...other, state: 'free', owner: null, token: null } as const
  t.equal(ownerWords(free), 'nobody in this region')
  t.same([tokenWords(free), leaseLeft(free, 3_000)], ['', ''])
  t.equal(ownerWords({ ...free, state: 'unknown', problem: 'no leader' }), 'not known: no leader')
})
