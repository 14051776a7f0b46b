// The table that `kairo up` prints: what a user copies from it works where it is pasted.
import { test } from 'tap'
import { programName, startCommand } from '../../src/cli/program.ts'
import { welcome } from '../../src/cli/welcome.ts'
import type { PeerAddresses } from '../../src/peer/addresses.ts'

const addresses: PeerAddresses = {
  peerId: '12D3KooWPeer',
  home: '/home/ada/.kairo',
  http: 'http://127.0.0.1:8080',
  rtmp: 'rtmp://127.0.0.1:1935/live',
  srt: 'srt://127.0.0.1:8890',
  network: {
    http: ['http://192.168.1.20:8080', 'http://10.0.0.5:8080'],
    rtmp: ['rtmp://192.168.1.20:1935/live'],
    srt: ['srt://192.168.1.20:8890'],
  },
  multiaddrs: [
    '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWPeer',
    '/ip4/192.168.1.20/tcp/4001/p2p/12D3KooWPeer',
  ],
  streamKey: 'secret',
  stream: 'stream-abc',
  testStream: 'test-abc',
  admin: 'http://127.0.0.1:8080/admin?token=t',
}

test('addresses for this machine and for a phone on the network', async (t) => {
  const text = welcome(addresses, 'npm start --')
  t.match(text, /^Watch +http:\/\/127\.0\.0\.1:8080$/m)
  t.match(text, /^on this network +http:\/\/192\.168\.1\.20:8080$/m)
  t.match(text, /^on this network +server rtmp:\/\/192\.168\.1\.20:1935\/live$/m)
  t.match(text, /^Test stream +http:\/\/127\.0\.0\.1:8080\/#\/watch\/test-abc$/m)
  t.match(text, /-f flv rtmp:\/\/127\.0\.0\.1:1935\/live\/secret$/m)
})

test('how to join, from another machine and from this one', async (t) => {
  const text = welcome(addresses, 'npm start --')
  t.match(text, /^Join +npm start -- --join http:\/\/192\.168\.1\.20:8080$/m)
  t.match(
    text,
    /^on this machine +npm start -- --home \/home\/ada\/\.kairo-2 --join http:\/\/127\.0\.0\.1:8080$/m,
  )
  t.notMatch(text, /\/ip4\//, 'no multiaddr where a URL does')
})

test('a server for this machine alone is joined by multiaddr', async (t) => {
  const alone = { ...addresses, home: "/home/o'brien/k", network: { http: [], rtmp: [], srt: [] } }
  const text = welcome(alone, 'kairo up')
  t.match(text, /^Join +kairo up --join \/ip4\/192\.168\.1\.20\/tcp\/4001\/p2p\/12D3KooWPeer$/m)
  t.match(text, /--home '\/home\/o'\\''brien\/k-2' --join/)
  const silent = welcome({ ...alone, multiaddrs: addresses.multiaddrs.slice(0, 1) }, 'kairo up')
  t.match(silent, /^Join +kairo up --home/m, 'and where there is none, from here only')
  t.notMatch(silent, /on this network/)
})

test('a server bound to one address is told once, and joined there', async (t) => {
  const one = {
    ...addresses,
    http: 'http://192.168.1.20:80',
    network: { http: [], rtmp: [], srt: [] },
  }
  t.match(welcome(one, 'kairo up'), /^Join +kairo up --join http:\/\/192\.168\.1\.20:80$/m)
})

test('without RTMP and test stream there is nothing to say of them', async (t) => {
  const text = welcome({ ...addresses, rtmp: null, testStream: null }, 'kairo up')
  t.notMatch(text, /Push|Test stream/)
})

test('commands are shown as they are typed here', async (t) => {
  t.equal(programName({}), 'kairo')
  t.equal(programName({ npm_command: 'exec' }), 'npx kairo')
  t.equal(startCommand({ npm_command: 'start', npm_lifecycle_event: 'start' }), 'npm start --')
  t.equal(startCommand({ npm_command: 'exec', npm_lifecycle_event: 'npx' }), 'npx kairo up')
})
