/** What is believed of a part: by who was asked, by who agrees, and by nobody who is alone against others. */
import fc from 'fast-check'
import { test } from 'tap'
import { pageSwarmLimits as limits } from '../../../src/limits/swarm.ts'
import { type Belief, judge, noBelief } from '../../../src/signalling/swarm/agreement.ts'
import { fuzzRuns } from '../../support/fuzz.ts'

interface Said {
  readonly page: string
  readonly address?: string
  readonly digest?: string
  readonly isAsked?: boolean
}

function believe(said: readonly Said[], isOneGroup = false) {
  let verdict = {
    ...noBelief,
    isNews: false,
    agreed: [] as readonly string[],
    liars: [] as readonly string[],
  }
  for (const { page, address = page, digest = 'right', isAsked = false } of said) {
    verdict = judge(verdict as Belief, { page, address, digest, bytes: 1 }, { isAsked, isOneGroup })
  }
  return verdict
}

test('who was asked is believed, and others check it', async (t) => {
  t.match(believe([{ page: 'a', isAsked: true }]), { isNews: true, told: { page: 'a' } })
  const two = believe([{ page: 'a', isAsked: true }, { page: 'b' }])
  t.match(two, { isNews: false, told: { page: 'a' }, agreed: ['a'] })
})

test('who was not asked is believed with another one only', async (t) => {
  t.match(believe([{ page: 'a' }]), { isNews: false, told: undefined, state: 'open' })
  t.match(believe([{ page: 'a' }, { page: 'a' }]), { told: undefined }, 'once')
  t.match(believe([{ page: 'a' }, { page: 'b' }]), { isNews: true, told: { digest: 'right' } })
  t.match(
    believe([
      { page: 'a', address: 'h' },
      { page: 'b', address: 'h' },
    ]),
    { told: undefined },
  )
  t.match(
    believe(
      [
        { page: 'a', address: 'h' },
        { page: 'b', address: 'h' },
      ],
      true,
    ),
    { isNews: true },
  )
  t.match(believe([{ page: 'a' }, { page: 'a', isAsked: true }]), { isNews: true }, 'asked later')
})

test('a dispute is open until one has two voices', async (t) => {
  const open = [
    { page: 'a', isAsked: true },
    { page: 'b', digest: 'wrong' },
  ]
  t.match(believe(open), { told: undefined, state: 'disputed', liars: [] })
  t.match(believe([...open, { page: 'c' }]), {
    ...{ isNews: true, told: { digest: 'right' }, state: 'open', liars: ['b'], agreed: ['a'] },
  })
  t.match(believe([...open, { page: 'c', digest: 'wrong' }]), { liars: ['a'] })
  const household = { page: 'c', address: 'b', digest: 'wrong' }
  t.match(believe([...open, household]), { state: 'disputed', liars: [] })
  t.match(believe([...open, household, { page: 'd' }]), { liars: ['b', 'c'] })
  t.match(believe([...open, { page: 'c', digest: 'third' }]), { state: 'varies', told: undefined })
  t.match(believe([...open, { page: 'c', digest: 'third' }, { page: 'd' }]), { state: 'varies' })
})

test('liars in one household never win against two others', async () => {
  const page = fc.record({ isLiar: fc.boolean(), isAsked: fc.boolean() })
  const property = fc.property(fc.array(page, { maxLength: 12 }), (pages) => {
    let belief: Belief = noBelief
    const liars = new Set<string>()
    for (const [at, { isLiar, isAsked }] of pages.entries()) {
      const id = `p${at}`
      const claim = {
        page: id,
        address: isLiar ? 'h' : id,
        digest: isLiar ? 'wrong' : 'right',
        bytes: 1,
      }
      if (isLiar) liars.add(id)
      const verdict = judge(belief, claim, { isAsked, isOneGroup: false })
      belief = verdict
      if (verdict.liars.some((one) => !liars.has(one))) return false
      if (verdict.claims.length > limits.claimsMax) return false
      if (verdict.told !== undefined && verdict.state !== 'open') return false
    }
    return true
  })
  fc.assert(property, { numRuns: fuzzRuns(500) })
})
