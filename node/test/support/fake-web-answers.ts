/** API answers of an imagined peer, rich enough to show every part of the web pages. */

import type { FakeAnswers } from './fake-web-peer.ts'

const self = '12D3KooWQe7hFDx8vCqYqQnvTQ9n1Zc4yQpXnR5mK2sW8aLtJ4uE'
const other = '12D3KooWA1b2C3d4E5f6G7h8J9kLmNoPqRsTuVwXyZ123456789a'

/** One live stream of the network. */
export function fakeStream(
  name: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    name,
    id: `k51qzi5uqu5d-${name}`,
    title: '',
    state: 'live',
    originPeer: self,
    sourcePeer: null,
    status: 'origin',
    startedAt: '2026-01-02T03:04:05.000Z',
    viewers: 0,
    renditions: [
      {
        name: 'source',
        kind: 'video',
        codecs: 'avc1.4d401f',
        bandwidthBps: 2_500_000,
        width: 1280,
        height: 720,
        frameRate: 30,
        channels: 0,
      },
      {
        name: 'audio',
        kind: 'audio',
        codecs: 'mp4a.40.2',
        bandwidthBps: 128_000,
        width: 0,
        height: 0,
        frameRate: 0,
        channels: 2,
      },
    ],
    ...more,
  }
}

/** Answers of a peer with two streams, one other peer, one warning of the doctor. */
export function fakeAnswers(): FakeAnswers {
  return {
    reachable: true,
    token: 'operator-secret',
    streams: [
      fakeStream('test', { title: 'Test picture', viewers: 3 }),
      fakeStream('garage', {
        title: 'Garage session, second night',
        originPeer: other,
        sourcePeer: other,
        status: 'following',
      }),
    ],
    peer: {
      peerId: self,
      version: '0.1.0',
      agent: 'kairo/0.1.0',
      multiaddrs: [`/ip4/192.168.1.20/tcp/4001/p2p/${self}`],
      rtmpPort: 1936,
      connectedPeers: 3,
      time: '2026-01-02T03:04:05.000Z',
    },
    status: {
      peerId: self,
      version: '0.1.0',
      uptimeS: 93_784,
      home: '/home/ada/.kairo',
      addresses: {
        http: 'http://127.0.0.1:8080',
        rtmp: 'rtmp://127.0.0.1:1935/live',
        network: {
          http: ['http://192.168.1.20:8080'],
          rtmp: ['rtmp://192.168.1.20:1935/live'],
        },
        multiaddrs: [
          `/ip4/192.168.1.20/tcp/4001/p2p/${self}`,
          `/ip4/192.168.1.20/tcp/4002/ws/p2p/${self}`,
        ],
      },
      peers: [{ peerId: other, address: '/ip4/192.168.1.31/tcp/4001', direction: 'inbound' }],
      publishers: [
        {
          stream: 'test',
          protocol: 'rtmp',
          remote: '127.0.0.1:50112',
          since: '2026-01-02T03:04:05.000Z',
          bitrateBps: 2_610_000,
        },
      ],
      store: {
        memoryBytes: 48_300_000,
        memoryBytesMax: 268_435_456,
        diskBytes: 1_288_490_188,
        diskBytesMax: 10_737_418_240,
        degraded: false,
      },
      join: [{ target: 'http://10.0.0.9:8080', state: 'retrying', error: 'connection refused' }],
      testStream: { state: 'running', error: null },
    },
    keys: [
      {
        name: 'test',
        id: 'k51-test',
        title: 'Test picture',
        builtIn: true,
        pushUrl: 'rtmp://192.168.1.20:1935/live/sk_test_4f1c',
        streamKey: 'sk_test_4f1c',
      },
      {
        name: 'live',
        id: 'k51-live',
        title: '',
        builtIn: false,
        pushUrl: 'rtmp://192.168.1.20:1935/live/sk_live_9a02',
        streamKey: 'sk_live_9a02',
      },
    ],
    checks: [
      { name: 'node', status: 'ok', detail: 'Node 24.21.0' },
      {
        name: 'clock',
        status: 'warn',
        detail: 'This clock is 3.2 s ahead of the network.',
        hint: 'Turn on time synchronisation (timedatectl set-ntp true).',
      },
      { name: 'encoders', status: 'ok', detail: 'libx264, aac' },
      { name: 'disk', status: 'ok', detail: '84 GiB free' },
    ],
    settings: [
      { name: 'http', value: '0.0.0.0:8080', origin: 'default' },
      { name: 'rtmp', value: '0.0.0.0:1935', origin: 'default' },
      { name: 'home', value: '/home/ada/.kairo', origin: 'environment' },
      { name: 'join', value: ['http://10.0.0.9:8080'], origin: 'command line' },
    ],
  }
}
