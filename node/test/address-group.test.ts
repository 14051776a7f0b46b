// Whom limits by address count together.
import { test } from 'tap'
import { addressGroup } from '../src/address-group.ts'

test('one caller is one IPv4 address, or the /64 of an IPv6 customer', async (t) => {
  t.equal(addressGroup('192.0.2.1'), '192.0.2.1')
  t.equal(addressGroup('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(addressGroup('2001:db8:1:2::1'), addressGroup('2001:db8:1:2:ffff:ffff:ffff:ffff'))
  t.not(addressGroup('2001:db8:1:2::1'), addressGroup('2001:db8:1:3::1'))
  t.equal(addressGroup('::1'), '0:0:0:0')
})
