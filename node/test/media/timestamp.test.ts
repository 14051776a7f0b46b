// Unwrapping of 32-bit milliseconds and 33-bit 90 kHz counters.
import { test } from 'tap'
import { TimestampUnwrapper } from '../../src/media/timestamp.ts'

for (const bits of [32, 33]) {
  const modulus = 2 ** bits
  test(`a ${bits}-bit counter goes on growing over its wrap`, async (t) => {
    const unwrapper = new TimestampUnwrapper(bits)
    t.equal(unwrapper.unwrap(modulus - 10), modulus - 10)
    t.equal(unwrapper.unwrap(5), modulus + 5)
    t.equal(unwrapper.unwrap(4), modulus + 4, 'a step back stays one')
    t.equal(unwrapper.unwrap(modulus - 1), modulus - 1, 'back over the wrap')
    t.equal(unwrapper.unwrap(7), modulus + 7)
  })

  test(`a ${bits}-bit counter unwraps many rounds`, async (t) => {
    const unwrapper = new TimestampUnwrapper(bits)
    const step = modulus / 8 + 3
    for (let index = 0; index < 100; index += 1) {
      t.equal(unwrapper.unwrap((index * step) % modulus), index * step)
    }
  })

  test(`a ${bits}-bit counter may fall below its first value`, async (t) => {
    const unwrapper = new TimestampUnwrapper(bits)
    t.equal(unwrapper.unwrap(0), 0)
    t.equal(unwrapper.unwrap(modulus - 16), -16)
    t.equal(unwrapper.unwrap(modulus - 15), -15)
    t.equal(unwrapper.unwrap(1), 1)
  })
}

test('a counter set back by its publisher is a step back', async (t) => {
  const unwrapper = new TimestampUnwrapper(32)
  unwrapper.unwrap(3_600_000)
  t.equal(unwrapper.unwrap(0), 0)
})

test('values outside the counter are programmer errors', async (t) => {
  const unwrapper = new TimestampUnwrapper(32)
  t.throws(() => unwrapper.unwrap(2 ** 32))
  t.throws(() => unwrapper.unwrap(-1))
  t.throws(() => new TimestampUnwrapper(49))
})
