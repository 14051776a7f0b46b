/** What the admin page makes of the store's metrics, of ordered URLs and of typed names before it shows them; needs no browser. */
import { test } from 'tap'
import { cidOf, digestOf } from '../../src/content/digest.ts'
import {
  describeFill,
  describeFills,
  describeUtc,
  problemOf,
  urlsOf,
} from '../../web/src/admin/cache/fill-words.ts'
import {
  describeKept,
  describeRelease,
  objectNamed,
  shortCid,
} from '../../web/src/admin/storage/kept-words.ts'
import {
  describeObjects,
  describeUse,
  readStoreFigures,
  shareOf,
} from '../../web/src/admin/storage/store-figures.ts'

test('figures of the store are told by tier and class', async (t) => {
  const figures = readStoreFigures(
    [
      'kairo_content_stored_bytes{tier="memory",class="loose"} 5',
      'kairo_content_stored_bytes{tier="disk",class="kept"} 700',
      'kairo_content_stored_objects{tier="disk",class="kept"} 2',
      'kairo_content_evictions_total{tier="disk",class="loose",reason="room"} 9',
      'kairo_content_evictions_total{tier="disk",class="loose",reason="tenant"} 3',
      'kairo_content_evictions_total{tier="disk",class="live",reason="stream"} 1',
      'kairo_content_evictions_total{tier="memory",class="loose",reason="room"} 20',
    ].join('\n'),
  )
  t.same(figures.of('disk', 'kept'), { bytes: 700, objects: 2, evicted: 0 })
  t.same(figures.of('disk', 'loose'), { bytes: 0, objects: 0, evicted: 12 })
  t.same(figures.of('memory', 'loose'), { bytes: 5, objects: 0, evicted: 20 })
  t.equal(figures.overBound, 4)
  t.equal(describeObjects(figures.of('disk', 'loose')), '0 objects, 12 removed')
  t.equal(describeObjects(figures.of('disk', 'kept')), '2 objects')
  t.equal(describeUse(512, 1_024), '512 B of 1.0 KiB, 50 %')
  t.equal(shareOf(1, 0), 0, 'a tier that is off is not full')
  t.equal(shareOf(3, 2), 1)
})

test('an object is named by its CID or its hash', async (t) => {
  for (const text of ['a', 'b', '']) {
    const digest = digestOf(Buffer.from(text))
    t.equal(objectNamed(` ${digest.toUpperCase()}\n`), cidOf(digest))
    t.equal(objectNamed(cidOf(digest)), cidOf(digest))
  }
  for (const wrong of ['', 'nonsense', '0'.repeat(63), `b${'1'.repeat(58)}`, 'QmYwAPJzv5CZsnA']) {
    t.equal(objectNamed(wrong), undefined)
  }
  t.equal(shortCid(cidOf(digestOf(Buffer.from('a')))).length, 15)
})

test('who keeps an object is told in words', async (t) => {
  const cid = cidOf(digestOf(Buffer.from('a')))
  t.equal(describeKept({ cid, bytes: 12, by: ['operator'] }), '12 B · kept by you')
  t.equal(
    describeKept({ cid, bytes: null, by: ['operator', 'ipfs'] }),
    'lost here, fetched again from other peers · kept by you and a pinned IPFS tree',
  )
  t.match(describeRelease(['operator', 'ipfs']), /keeps it too/)
  t.match(describeRelease(['operator']), /goes like any other/)
})

test('URLs are ordered as they are typed, and told in words', async (t) => {
  t.same(urlsOf(' http://a.example/ \nhttp://b.example/\thttp://a.example/\n'), [
    'http://a.example/',
    'http://b.example/',
  ])
  t.match(problemOf([]), /at least one/)
  t.equal(problemOf(['https://a.example/']), undefined)
  t.match(
    problemOf(['https://a.example/', 'ftp://b.example/']),
    /“ftp:\/\/b.example\/” is no address/,
  )
  t.match(problemOf(['nonsense']), /“nonsense”/)
  const fill = { url: 'http://a.example/', between: '', attempts: 0, bytes: 0, problem: '' }
  const late = { ...fill, state: 'waiting', between: '01:00-06:00' } as const
  t.equal(describeFill({ ...fill, state: 'waiting' }), 'waits')
  t.equal(describeFill(late), 'waits for 01:00–06:00 UTC')
  t.equal(
    describeFill({ ...late, attempts: 1, problem: 'not read' }),
    'waits for 01:00–06:00 UTC after 1 attempt: not read',
  )
  t.equal(describeFill({ ...fill, state: 'done', bytes: 2_048 }), 'read, 2.0 KiB')
  t.equal(
    describeFill({ ...fill, state: 'failed', attempts: 3, problem: 'the answer was 404' }),
    'given up after 3 attempts: the answer was 404',
  )
  t.equal(describeFills({ waiting: 0, done: 0, failed: 0 }), '')
  t.equal(describeFills({ waiting: 2, done: 12, failed: 0 }), '2 waiting · 12 read · 0 failed')
  t.match(describeUtc(0), /your clock shows too/)
  t.match(describeUtc(330), /5 h 30 min ahead/)
  t.match(describeUtc(-60), /1 h behind/)
})
