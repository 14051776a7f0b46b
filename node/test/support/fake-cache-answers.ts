/** What an imagined peer answers of its cache and of the other peers, rich enough to show those parts of the admin page. */

const self = '12D3KooWQe7hFDx8vCqYqQnvTQ9n1Zc4yQpXnR5mK2sW8aLtJ4uE'
const near = '12D3KooWA1b2C3d4E5f6G7h8J9kLmNoPqRsTuVwXyZ123456789a'
const gone = '12D3KooWZz9y8X7w6V5u4T3s2R1qPoNmLkJiHgFeDcBa98765432'

/** Host rules, purges, metrics, and peers with their ranking. */
export function cacheAnswers() {
  return {
    hostRules: {
      rules: [
        fakeHostRule('shop', { type: 'http', url: 'https://origin.shop.example' }),
        fakeHostRule('files', {
          ...{ type: 's3', endpoint: 'https://s3.example', region: 'us-east-1', bucket: 'files' },
          ...{ prefix: 'public', accessKeyId: 'AKIAEXAMPLE', hasSecret: true },
        }),
      ],
      entries: 1_204,
    },
    purges: { caughtUp: true, purges: [fakePurge()] },
    knownPeers: {
      self: fakePeer(self),
      peers: [
        { ...fakePeer(gone, 'us-east'), rttMs: null, reachable: false, state: 'draining' },
        { ...fakePeer(near, 'eu-west'), rttMs: 12.3, reachable: true },
      ],
    },
    nearest: {
      client: { address: '127.0.0.1' },
      peers: [
        { peerId: near, reasons: ['12 ms away', '25 % loaded'] },
        { peerId: self, reasons: ['asked this peer', '25 % loaded'] },
      ].map((peer) => ({
        ...{ ...peer, url: 'http://192.0.2.7:8080', urls: ['http://192.0.2.7:8080'] },
        ...{ region: '', load: 0.25, freeBitsPerSecond: 9e8, score: 1, self: peer.peerId === self },
      })),
    },
    metrics: [
      '# HELP kairo_cdn_requests_total Requests, by rule and by what answered them',
      '# TYPE kairo_cdn_requests_total counter',
      'kairo_cdn_requests_total{rule="shop",result="hit"} 930',
      'kairo_cdn_requests_total{rule="shop",result="stale"} 9',
      'kairo_cdn_requests_total{rule="shop",result="miss"} 61',
      '',
    ].join('\n'),
  }
}

/** One host rule as it is shown. */
export function fakeHostRule(name: string, origin: Record<string, unknown>) {
  return {
    ...{ name, hosts: [`${name}.example`, `*.${name}.example`], pathPrefix: '/', origin },
    ...{ defaultTtlS: 600, negativeTtlS: 10, staleWhileRevalidateS: 0, staleIfErrorS: 3_600 },
    ...{ query: 'keep', sliceBytes: 1_048_576, compress: true, bytesMax: 0 },
  }
}

function fakePurge() {
  return {
    ...{ id: 'purge-1', issuer: self, issued: '2026-01-02T03:04:05.000Z', mode: 'hard' },
    ...{ selector: { by: 'tag', tag: 'sale', host: 'shop.example' }, complete: false },
    degraded: true,
    peers: [
      { peerId: self, status: 'done', purged: 12, ms: 0.4, code: null },
      { peerId: near, status: 'done', purged: 30, ms: 14.2, code: null },
      { peerId: gone, status: 'unreachable', purged: 0, ms: 2_000, code: 'ERR_UNREACHABLE' },
    ],
  }
}

function fakePeer(peerId: string, region = '') {
  return {
    ...{ peerId, state: 'serving', region, urls: ['http://192.0.2.7:8080'] },
    ...{ httpsAddresses: ['192.0.2.7:4443'], load: 0.25, freeBitsPerSecond: 900_000_000 },
    expires: '2026-01-02T03:04:40.000Z',
  }
}
