/** The verdict on whether others can dial a peer. */
import { multiaddr } from '@multiformats/multiaddr'
import { test } from 'tap'
import { type NatView, natStatusOf } from '../../../src/host/reach/nat-status.ts'

const PEER = '12D3KooWLxFaUbhMrtHhjXCsmqGHch9ZLdTFRNHXJiwF3xCWpUap'
const OUTSIDE = multiaddr('/ip4/5.5.5.5/tcp/4001')
const INSIDE = multiaddr('/ip4/10.0.0.5/tcp/4001')

const view: NatView = {
  isAnnounced: false,
  isListening: true,
  addresses: [{ multiaddr: INSIDE, verified: true }],
  remotes: [],
  waitedMs: 0,
  verdictWaitMs: 1_000,
}

test('named addresses, and those that others dialled, are public', async (t) => {
  t.equal(natStatusOf({ ...view, isAnnounced: true }), 'public')
  const addresses = [{ multiaddr: OUTSIDE, verified: true }]
  t.equal(natStatusOf({ ...view, addresses }), 'public')
})

test('who listens on nothing is private', async (t) => {
  t.equal(natStatusOf({ ...view, isListening: false, addresses: [] }), 'private')
})

test('without a public address at either end the network is local', async (t) => {
  t.equal(natStatusOf(view), 'local')
  t.equal(natStatusOf({ ...view, remotes: [INSIDE] }), 'local')
})

test('who has no public address of its own and talks with the Internet is behind NAT', async (t) => {
  t.equal(natStatusOf({ ...view, remotes: [INSIDE, OUTSIDE] }), 'private')
  const relayed = multiaddr(`${OUTSIDE}/p2p/${PEER}/p2p-circuit/p2p/${PEER}`)
  t.equal(
    natStatusOf({ ...view, remotes: [relayed] }),
    'local',
    'a relayed connection says nothing',
  )
})

test('a public address that nobody confirms is doubted after a while', async (t) => {
  const open = { ...view, addresses: [{ multiaddr: OUTSIDE, verified: false }] }
  t.equal(natStatusOf(open), 'unknown', 'nobody is there to try it')
  const asked = { ...open, remotes: [OUTSIDE] }
  t.equal(natStatusOf({ ...asked, waitedMs: 999 }), 'unknown')
  t.equal(natStatusOf({ ...asked, waitedMs: 1_000 }), 'private')
})
