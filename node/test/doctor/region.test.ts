/** What the doctor says of a region: how it is, and what to do. */
import type { AgentStatus } from '@kairo/tracker'
import { test } from 'tap'
import type { CoordinationStatus } from '../../src/coordination/coordination-service.ts'
import { checkRegion } from '../../src/doctor/region.ts'
import { KairoError } from '../../src/errors.ts'

const agent: AgentStatus = {
  ...{ phase: 'member', facts: undefined, memberCount: 3, waitsFor: undefined },
  ...{ hasQuorum: true, isDegraded: false, conflicts: [] },
}

function look(status: Partial<CoordinationStatus>, failure?: KairoError) {
  const none = { error: undefined, ended: undefined }
  const base = { engine: 'tracker', state: 'running', ...none, region: 'eu' } as const
  const view = { status: { ...base, agent, ...status }, failure, folder: '/home/kairo/tracker' }
  return checkRegion(view).map((check) =>
    [check.status, check.detail, check.hint ?? ''].join(' | '),
  )
}

test('a region that works, and one that does not', async (t) => {
  t.same(look({}), ['ok | eu: 3 members, decides things | '])
  t.match(look({ agent: { ...agent, memberCount: 1 } }), [/^ok \| eu: 1 member,/])
  const alone = { ...agent, hasQuorum: false }
  t.match(look({ agent: alone }), [/^warn \| .* too few are there/])
  t.match(look({ agent: { ...alone, isDegraded: true } }), [/^fail \| .*kairo region forget/])
  t.match(look({}, new KairoError('ERR_TIMEOUT', 'too slow')), [/^warn .* too slow/])
  t.match(look({ agent: { ...agent, phase: 'looking' } }), [
    /^warn \| eu: in no region \(looking\)/,
  ])
  const waiting = { ...agent, phase: 'looking', waitsFor: 'abcd' } as const
  t.match(look({ agent: waiting }), [/^warn \| eu: waits for the region abcd.*Start its other/])
})

test('a second region of the name', async (t) => {
  const conflict = {
    ...{ regionId: 'beef', memberCount: 2, foundedAtMs: 0, speakers: ['x'] },
    ...{ isOursToGiveWay: true, isRefused: false },
  }
  const [well, other] = look({ agent: { ...agent, conflicts: [conflict] } })
  t.match(well, /^ok/)
  t.match(other, /^warn .* beef, with 2 members .* `kairo region merge beef`/)
  const refused = { ...conflict, isRefused: true }
  t.match(look({ agent: { ...agent, conflicts: [refused] } })[1], /regionPeers/)
})

test('a thread that ended by itself', async (t) => {
  const reason = new KairoError('ERR_WORKER', 'out of memory')
  t.match(look({ ended: { count: 1, reason } }), [
    /^ok/,
    /^warn \| eu: the tracker's thread ended by itself once and .*out of memory \| Look for memory/,
  ])
  t.match(look({ ended: { count: 3, reason } })[1], /3 times/)
})

test('a tracker that failed, and etcd', async (t) => {
  const full = new KairoError('ERR_STORAGE', 'the disk is full')
  t.match(look({ state: 'failed', error: full }), [/^fail .* the disk is full \| Make room/])
  t.match(look({ state: 'failed', error: undefined }), [
    /^fail .* move \/home\/kairo\/tracker away/,
  ])
  t.match(look({ state: 'starting' }), [/^warn \| the tracker is starting/])
  t.match(look({ engine: 'etcd' }), [/^ok \| eu: etcd answers/])
  const gone = new KairoError('ERR_NO_QUORUM', 'nobody there')
  t.match(look({ engine: 'etcd' }, gone), [/^fail .* nobody there \| Check coordinationUrl/])
})
