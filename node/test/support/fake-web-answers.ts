/** API answers of an imagined peer, rich enough to show every part of the web pages. */

import { cacheAnswers } from './fake-cache-answers.ts'
import { regionAnswers } from './fake-region-answers.ts'
import { storageAnswers, storeMetrics } from './fake-storage-answers.ts'
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
    lease: 'confirmed',
    startedAt: '2026-01-02T03:04:05.000Z',
    viewers: 0,
    regionViewers: null,
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
      fakeStream('test', { title: 'Test picture', viewers: 3, regionViewers: 12 }),
      fakeStream('garage', {
        title: 'Garage session, second night',
        originPeer: other,
        sourcePeer: other,
        status: 'following',
        lease: null,
      }),
    ],
    peer: {
      peerId: self,
      version: '0.1.0',
      agent: 'kairo/0.1.0',
      multiaddrs: [`/ip4/192.168.1.20/tcp/4001/p2p/${self}`],
      rtmpPort: 1936,
      srtPort: 8890,
      encoders: ['libx264'],
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
        srt: 'srt://127.0.0.1:8890',
        network: {
          http: ['http://192.168.1.20:8080'],
          rtmp: ['rtmp://192.168.1.20:1935/live'],
          srt: ['srt://192.168.1.20:8890'],
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
      mediaChildren: [
        {
          pid: 4211,
          state: 'working',
          job: 'ladder',
          label: 'test',
          cpuS: 93,
          rssBytes: 180_000_000,
        },
        { pid: 4212, state: 'warm', job: null, label: '', cpuS: 0, rssBytes: 90_000_000 },
      ],
      watchFolder: null,
      join: [{ target: 'http://10.0.0.9:8080', state: 'retrying', error: 'connection refused' }],
      testStream: { state: 'running', error: null },
      region: {
        ...{ name: 'default', engine: 'tracker', state: 'running', error: null, phase: 'member' },
        ...{ memberCount: 3, hasQuorum: true, isDegraded: false, conflicts: 1 },
      },
    },
    keys: [
      {
        name: 'test',
        id: 'k51-test',
        title: 'Test picture',
        builtIn: true,
        pushUrl: 'rtmp://192.168.1.20:1935/live/sk_test_4f1c',
        srtUrl: null,
        streamKey: 'sk_test_4f1c',
      },
      {
        name: 'live',
        id: 'k51-live',
        title: '',
        builtIn: false,
        pushUrl: 'rtmp://192.168.1.20:1935/live/sk_live_9a02',
        srtUrl: 'srt://192.168.1.20:8890?streamid=publish:sk_live_9a02',
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
    ...mediaAnswers(),
    ...cacheAnswers(),
    ...storageAnswers(),
    ...regionAnswers(),
    metrics: cacheAnswers().metrics + storeMetrics,
  }
}

/** One video of the library. */
export function fakeVideo(id: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  const [video] = fakeStream(id).renditions as unknown[]
  return {
    ...{
      id,
      title: `Video ${id}`,
      state: 'ready',
      origin: 'upload',
      durationS: 754.2,
      progress: 1,
    },
    ...{ originPeer: '12D3KooWSelf', status: 'origin' },
    ...{ createdAt: '2026-01-02T03:04:05.000Z', speed: null, etaS: null, error: null },
    ...{ bytes: 48_000_000, renditions: [video], captions: [], storyboard: null },
    urls: {
      hls: `/vod/${id}/master.m3u8`,
      dash: `/vod/${id}/manifest.mpd`,
      download: `/vod/${id}/download.mp4`,
      storyboard: null,
      sound: null,
    },
    ...more,
  }
}

function mediaAnswers() {
  return {
    library: {
      videos: [] as Record<string, unknown>[],
      networkVideos: 0,
      usage: { bytes: 48_000_000, bytesMax: 10_737_418_240, bytesFree: 10_689_418_240 },
      uploads: { access: 'local', fileBytesMax: 1_000_000 },
    },
    transcoding: {
      ...{ budgetCores: 4, usedCores: 1.4, headroomCores: 2.6 },
      streams: [fakeTranscoding()],
    },
    presets: [
      {
        ...{ name: 'auto', builtIn: true, description: 'What most viewers can watch.', video: [] },
        audio: { aac: 'needed', aacKbps: 128, opus: false, opusKbps: 96 },
      },
    ],
    options: { quality: 'auto', dvrWindowS: 600 },
    restreaming: [
      {
        ...{ stream: 'live', live: true },
        targets: [
          {
            ...{ name: 'elsewhere', host: 'rtmp://a.example', enabled: true, state: 'waiting' },
            ...{ error: 'connection refused', since: null, bytes: 0, bitrateBps: 0 },
            ...{ dropped: 0, retries: 3 },
          },
        ],
      },
    ],
    pulls: [],
    recordings: [],
    webhooks: [
      {
        ...{ host: 'https://hooks.example', pending: 1, delivered: 12, failedAttempts: 2 },
        ...{ dropped: 0, lastDelivered: null, error: 'status 500' },
      },
    ],
  }
}

function fakeTranscoding(): Record<string, unknown> {
  return {
    ...{ stream: 'test', quality: 'auto', phase: 'running', pid: 4211, cores: 1.4, speed: 1 },
    ...{ restarts: 0, problem: null },
    source: {
      video: {
        ...{ codec: 'h264', codecString: 'avc1.4d401f', width: 1280, height: 720, frameRate: 30 },
        ...{ bitrateBps: 2_500_000, videoRange: 'SDR' },
      },
      audio: { codec: 'aac', channels: 2, sampleRate: 48_000 },
    },
    rungs: [
      {
        ...{ name: '480p', kind: 'video', width: 854, height: 480, frameRate: 30 },
        ...{ bitrateBps: 1_200_000, encoder: 'libx264', state: 'live', lagMs: 320 },
      },
    ],
    dropped: [{ name: '360p', reason: 'the machine has no room for it' }],
  }
}
