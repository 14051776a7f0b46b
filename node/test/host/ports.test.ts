// Port choice: last time's, then the usual one, then any.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { isPortFree, PortMemory } from '../../src/host/ports.ts'

async function taken(t: Test): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

async function free(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

test('a fixed port is taken as it is, even when it is occupied', async (t) => {
  const port = await taken(t)
  const memory = new PortMemory(join(t.testdir({}), 'ports.json'))
  t.equal(await memory.choose('http', '127.0.0.1', port, { fixed: true }), port)
})

test('a default port gives way to a free one, and the free one is kept', async (t) => {
  const usual = await taken(t)
  const file = join(t.testdir({}), 'ports.json')
  const memory = new PortMemory(file)
  t.equal(await memory.choose('http', '127.0.0.1', usual, { fixed: false }), 0)
  const got = await free()
  memory.remember('http', got)
  t.equal(await new PortMemory(file).choose('http', '127.0.0.1', usual, { fixed: false }), got)
  t.equal(await new PortMemory(file).choose('http', '127.0.0.1', 0, { fixed: true }), got)
})

test('a damaged note is forgotten', async (t) => {
  const file = join(t.testdir({}), 'ports.json')
  writeFileSync(file, '{"http": "eighty"}')
  t.equal(await new PortMemory(file).choose('http', '127.0.0.1', 0, { fixed: true }), 0)
})

test('isPortFree tells a taken port from a free one', async (t) => {
  t.equal(await isPortFree('127.0.0.1', await taken(t)), false)
  t.equal(await isPortFree('127.0.0.1', await free()), true)
})
