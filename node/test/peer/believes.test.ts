/** Whom the operator has named, and to whom clients are sent. */
import { test } from 'tap'
import type { Join } from '../../src/host/join.ts'
import { believes, maySendTo } from '../../src/peer/believes.ts'

const join = { status: () => [{ peerId: 'joined' }] } as unknown as Pick<Join, 'status'>
const peers = ['joined', 'named', 'stranger']

test('whose copies are believed', (t) => {
  t.same(peers.filter(believes([], join)), ['joined'])
  t.same(peers.filter(believes(['named'], join)), ['joined', 'named'])
  t.same(peers.filter(believes(['network'], join)), peers)
  t.end()
})

test('to whom clients are sent', (t) => {
  const isBelieved = believes(['named'], join)
  t.same(peers.filter(maySendTo(['network'], isBelieved)), peers)
  t.same(peers.filter(maySendTo(['believed'], isBelieved)), ['joined', 'named'])
  t.same(peers.filter(maySendTo(['believed', 'stranger'], isBelieved)), peers)
  t.same(peers.filter(maySendTo(['stranger'], isBelieved)), ['stranger'], 'these and no others')
  t.same(peers.filter(maySendTo([], isBelieved)), [])
  t.end()
})
