// Offers that meet, come early, or in place of a connection that seems to be up.
import { test } from 'tap'
import { settle } from '../support/manual-clock.ts'
import { calm, TestStage } from '../support/mesh-stage.ts'

test('both are told to offer: one connection, and nobody was ever down', async (t) => {
  const stage = new TestStage()
  const [a, b] = [stage.add('a'), stage.add('b')]
  a.mesh.connect(['b'])
  b.mesh.connect(['a'])
  await calm()
  t.strictSame(a.told, [['up', 'b', 0]])
  t.strictSame(b.told, [['up', 'a', 0]])
  t.equal(
    stage.network.connections.filter(({ connectionState }) => connectionState === 'connected')
      .length,
    2,
  )
})

test('both have told their offers: the one that sorts first stands', async (t) => {
  const stage = new TestStage()
  const pages = [stage.add('a'), stage.add('b')]
  for (const page of pages) {
    const tell = page.onStep
    page.onStep = (to, step) => void settle().then(() => tell(to, step))
  }
  pages[0]?.mesh.connect(['b'])
  pages[1]?.mesh.connect(['a'])
  await calm()
  await calm()
  t.strictSame(pages[0]?.told, [['up', 'b', 0]])
  t.strictSame(pages[1]?.told, [['up', 'a', 0]])
  t.strictSame(
    stage.network.connections.map(({ connectionState }) => connectionState),
    ['connected', 'closed', 'connected'],
  )
})

test('a connection that is dropped at once tells no offer', async (t) => {
  const stage = new TestStage()
  const [a, b] = [stage.add('a'), stage.add('b')]
  a.mesh.connect(['b'])
  t.notOk(a.mesh.ask('b', 'r/1', 0), 'nobody is asked before it is up')
  a.mesh.drop('b')
  await calm()
  t.strictSame([a.told, b.told], [[['down', 'b', 'dropped']], []])
  t.equal(stage.network.connections.length, 1)
})

test('an offer that comes before the own one is told is taken', async (t) => {
  const stage = new TestStage()
  const [a, b] = [stage.add('a'), stage.add('b')]
  b.onStep = () => {}
  b.mesh.connect(['a'])
  await calm()
  b.mesh.close()
  const other = stage.add('b')
  other.mesh.connect(['a'])
  // The steps of the page `b` reach `a` in the very turn in which `a` is told to connect.
  const connect = a.mesh.takeStep.bind(a.mesh)
  a.mesh.takeStep = (from, step) => {
    if (step.type === 'offer') a.mesh.connect([from])
    connect(from, step)
  }
  await calm()
  t.strictSame(other.told, [['up', 'a', 0]])
})

test('an offer in place of a connection that still seems to be up', async (t) => {
  const stage = new TestStage()
  const [a] = await stage.two()
  a.told.length = 0
  const again = stage.add('b')
  again.mesh.connect(['a'])
  await calm()
  t.strictSame(a.told, [
    ['down', 'b', 'closed'],
    ['up', 'b', 0],
  ])
  t.equal(a.mesh.figures().length, 1)
})
