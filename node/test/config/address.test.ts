// Host and port pairs, and the addresses by which other machines reach a server.
import { test } from 'tap'
import { formatAddress, localHost, networkHosts, parseAddress } from '../../src/config/address.ts'

test('addresses are read and written', async (t) => {
  t.same(parseAddress('127.0.0.1:80'), { host: '127.0.0.1', port: 80 })
  t.same(parseAddress(':0'), { host: '0.0.0.0', port: 0 })
  t.same(parseAddress('[::1]:80'), { host: '::1', port: 80 })
  t.equal(parseAddress('host'), undefined)
  t.equal(parseAddress('host:65536'), undefined)
  t.equal(formatAddress({ host: '::1', port: 80 }), '[::1]:80')
  t.same(['0.0.0.0', '::', '10.0.0.1'].map(localHost), ['127.0.0.1', '::1', '10.0.0.1'])
})

test('addresses on the network', async (t) => {
  const address = (text: string, internal: boolean, family: 'IPv4' | 'IPv6' = 'IPv4') =>
    family === 'IPv4'
      ? { address: text, netmask: '', family, mac: '', internal, cidr: null }
      : { address: text, netmask: '', family, mac: '', internal, cidr: null, scopeid: 0 }
  const interfaces = {
    lo: [address('127.0.0.1', true)],
    eth0: [address('192.168.1.20', false), address('fe80::1', false, 'IPv6')],
    eth1: [address('169.254.3.4', false)],
    wlan0: [address('10.0.0.5', false)],
  }
  t.same(networkHosts('0.0.0.0', interfaces), ['192.168.1.20', '10.0.0.5'])
  t.same(networkHosts('::', interfaces), ['192.168.1.20', '10.0.0.5'])
  t.same(networkHosts('127.0.0.1', interfaces), [], 'bound to one address')
  t.same(networkHosts('0.0.0.0', {}), [])
})
