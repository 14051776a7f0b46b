// A whole peer in this process: its routes as their callers see them, its start and its stop.
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { swarmProtocol } from '@kairo/client/protocol'
import { type Test, test } from 'tap'
import { WebSocket } from 'ws'
import { settingsFixed } from '../src/config/load.ts'
import { createPeer, loadSettings, type Peer, silentLogger } from '../src/index.ts'
import { httpRequest } from './support/http-get.ts'
import { announce, TrackerClient, twenty } from './support/signalling-stage.ts'
import { TestPage } from './support/swarm-stage.ts'

type Flags = Record<string, string | string[] | boolean>

function peerSettings(home: string, flags: Flags) {
  return loadSettings({
    flags: {
      home,
      http: '127.0.0.1:0',
      rtmp: '127.0.0.1:0',
      peerHttps: '127.0.0.1:0',
      listen: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
      testStream: false,
      ...flags,
    },
    env: {},
  })
}

function peerAt(home: string, flags: Flags = {}): Peer {
  const loaded = peerSettings(home, flags)
  return createPeer({ ...loaded, fixed: settingsFixed(loaded), logger: silentLogger })
}

interface Api {
  readonly peer: Peer
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
  ) => Promise<{ status: number; json: unknown }>
  readonly anonymous: (path: string, method?: string) => Promise<{ status: number; text: string }>
}

async function started(t: Test, flags: Flags = {}): Promise<Api> {
  const peer = peerAt(t.testdir({}), flags)
  await peer.start()
  t.teardown(() => peer.stop())
  const { http, admin } = peer.addresses()
  const token = new URL(admin).searchParams.get('token') ?? ''
  return {
    peer,
    call: async (method, path, body) => {
      const { status, text } = await httpRequest(`${http}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { status, json: JSON.parse(text) }
    },
    anonymous: (path, method = 'GET') => httpRequest(`${http}${path}`, { method }),
  }
}

test('what anyone may ask', async (t) => {
  const open = {
    ...{ corsOrigins: ['https://site.example'], signallingOrigins: ['*'] },
    iceServers: ['stun:stun.example:3478'],
  }
  const { peer, anonymous } = await started(t, open)
  const { peerId, multiaddrs } = peer.addresses()
  t.match(JSON.parse((await anonymous('/api/peer')).text), {
    peerId,
    multiaddrs: [...multiaddrs],
    rtmpPort: Number(new URL(peer.addresses().rtmp ?? '').port),
    connectedPeers: 0,
  })
  t.same(JSON.parse((await anonymous('/api/streams')).text), { streams: [] })
  t.match(JSON.parse((await anonymous('/health/live')).text), { status: 'live' })
  t.match(JSON.parse((await anonymous('/health/ready')).text), {
    checks: { store: 'ok', network: 'ok' },
  })
  t.match((await anonymous('/metrics')).text, /^kairo_rtmp_connections 0$/m)
  const openapi = JSON.parse((await anonymous('/openapi.json')).text)
  t.equal(openapi.openapi, '3.1.0')
  for (const path of Object.values(openapi.paths)) {
    for (const operation of Object.values(path as object)) {
      t.match(operation, { 'x-kairo-access': /^(public|viewer|publisher|operator)$/ })
    }
  }
  t.match(JSON.parse((await anonymous('/live/nothing/master.m3u8')).text), {
    code: 'ERR_NOT_FOUND',
    status: 404,
  })
  const page = await pageAt(peer, 'https://any.example')
  t.match(await page.ask(announce(twenty('swarm'), twenty('a'))), { incomplete: 1 })
  const viewer = await swarmPageAt(peer)
  const iceServers = [{ urls: ['stun:stun.example:3478'] }]
  t.match(viewer.welcome, { iceServers })
  await peer.stop()
  t.strictSame(await page.end(), { code: 1001, reason: 'stop' }, 'a stop says goodbye to pages')
  t.strictSame(await viewer.end(), { code: 1001, reason: 'stop' })
})

/** A page in a swarm of this peer. */
async function swarmPageAt(peer: Peer): Promise<TestPage> {
  const url = `${peer.addresses().http.replace('http', 'ws')}/swarm`
  const page = new TestPage(new WebSocket(url, swarmProtocol, { origin: 'https://any.example' }))
  await once(page.socket, 'open')
  page.say({ kind: 'hello', swarm: 'a film', uploadBps: 0, canConnect: true })
  page.welcome = await page.hear('welcome')
  return page
}

/** A page of some origin that is connected to the WebTorrent tracker; rejects when it is refused. */
async function pageAt(peer: Peer, origin: string): Promise<TrackerClient> {
  const { http } = peer.addresses()
  const socket = new WebSocket(`${http.replace('http', 'ws')}/announce`, { origin })
  const page = new TrackerClient(socket)
  await once(socket, 'open')
  return page
}

test('what only the operator may ask', async (t) => {
  const { peer, call, anonymous } = await started(t, { corsOrigins: ['https://site.example'] })
  await t.rejects(pageAt(peer, 'https://any.example'), /403/, 'pages of others need a leave')
  await t.resolves(pageAt(peer, 'https://site.example'))
  for (const [path, method] of [
    ['/api/status', 'GET'],
    ['/api/doctor', 'GET'],
    ['/api/config', 'GET'],
    ['/api/keys', 'GET'],
    ['/api/keys', 'POST'],
    ['/api/keys/x', 'DELETE'],
    ['/api/keys/x/disconnect', 'POST'],
  ] as const) {
    t.equal((await anonymous(path, method)).status, 401, `${method} ${path}`)
  }
  const { peerId, home, http, rtmp } = peer.addresses()
  t.match((await call('GET', '/api/status')).json, {
    peerId,
    home,
    addresses: { http, rtmp },
    publishers: [],
    testStream: null,
    store: { degraded: false },
  })
  t.match((await call('GET', '/api/config')).json, {
    settings: [{ name: 'home', value: home, origin: 'flag --home' }],
  })
  const { checks } = (await call('GET', '/api/doctor')).json as {
    checks: { name: string; status: string }[]
  }
  t.same(
    checks.filter(({ status }) => status === 'fail'),
    [],
  )
  t.match(checks.map(({ name }) => name).sort(), [
    'cache',
    'clock',
    'disk',
    'encoders',
    'home',
    'nat',
    'nearest',
    'node',
    'ports',
    'reachability',
    'region',
    'relaying',
  ])
})

test('stream keys are made, shown, and forgotten for good', async (t) => {
  const { peer, call } = await started(t)
  const made = await call('POST', '/api/keys', { name: 'stage', title: 'Main stage' })
  t.match(made, {
    status: 201,
    json: { name: 'stage', title: 'Main stage', pushUrl: new RegExp(`^${peer.addresses().rtmp}/`) },
  })
  t.match(await call('POST', '/api/keys', { name: 'stage' }), {
    status: 409,
    json: { code: 'ERR_NAME_TAKEN' },
  })
  t.match(await call('POST', '/api/keys', { name: '../x' }), {
    status: 400,
    json: { code: 'ERR_INVALID_INPUT' },
  })
  t.match(await call('POST', '/api/keys', { nome: 'x' }), { status: 400 })
  t.match(await call('POST', '/api/keys/stage/disconnect'), { status: 404 })
  t.equal(((await call('GET', '/api/keys')).json as { keys: unknown[] }).keys.length, 2)
  t.match(await call('DELETE', '/api/keys/stage'), { status: 200 })
  t.match(await call('DELETE', '/api/keys/stage'), { status: 404 })
  t.match(
    await call('POST', '/api/keys', { name: 'stage' }),
    { status: 201 },
    'the name is free again',
  )
})

test('secrets are kept private, and a stop leaves no note of a running peer', async (t) => {
  const home = join(t.testdir({}), 'home')
  const peer = peerAt(home)
  await peer.start()
  const { streamKey, peerId, multiaddrs } = peer.addresses()
  t.match(streamKey, /^[\w-]{24}$/)
  for (const file of ['identity.key', 'operator.token', 'running.json']) {
    t.equal(statSync(join(home, file)).mode & 0o777, 0o600, file)
  }
  t.equal(statSync(home).mode & 0o777, 0o700)
  await t.rejects(peer.start(), { code: 'ERR_STOPPED' })
  await t.rejects(peerAt(home).start(), { code: 'ERR_ADDRESS_IN_USE' })
  await peer.stop()
  await peer.stop()
  t.notOk(existsSync(join(home, 'running.json')))
  const again = peerAt(home)
  await again.start()
  t.match(
    again.addresses(),
    { peerId, streamKey, multiaddrs: [...multiaddrs] },
    'the same peer, the same place',
  )
  await again.stop()
})

test('a stop during the start waits for it, and leaves nothing running', async (t) => {
  const peer = peerAt(t.testdir({}))
  const starting = peer.start()
  await peer.stop()
  await starting
  t.throws(() => peer.addresses(), { code: 'ERR_STOPPED' })
})

test('a start that fails half-way takes back what it began', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const home = t.testdir({})
  await t.rejects(peerAt(home, { http: `127.0.0.1:${port}` }).start(), {
    code: 'ERR_ADDRESS_IN_USE',
    message: new RegExp(String(port)),
  })
  const peer = peerAt(home)
  await peer.start()
  t.ok(peer.addresses().http, 'the home folder is free again')
  await peer.stop()
})

test('peers that start together share out the ports that all of them saw free', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const peers = [0, 1, 2].map((index) => {
    const wanted = { http: `127.0.0.1:${port}` }
    const loaded = peerSettings(join(t.testdir({}), `home${index}`), wanted)
    return createPeer({ ...loaded, fixed: () => false, logger: silentLogger })
  })
  t.teardown(() => Promise.all(peers.map((peer) => peer.stop())))
  await Promise.all(peers.map((peer) => peer.start()))
  const addresses = peers.map((peer) => peer.addresses().http)
  t.equal(new Set(addresses).size, 3)
  t.ok(addresses.includes(`http://127.0.0.1:${port}`), 'one has the port that all wanted')
})

test('a peer without RTMP takes no publishers, one without a tracker and swarms no pages', async (t) => {
  const off = { rtmp: 'off', webtorrentTracker: false, swarm: false }
  const { peer, call } = await started(t, off)
  await t.rejects(pageAt(peer, 'https://any.example'), /404/)
  await t.rejects(swarmPageAt(peer), /404/)
  t.equal(peer.addresses().rtmp, null)
  t.match((await call('GET', '/api/keys')).json, { keys: [{ pushUrl: null }] })
})
