/**
 * The `raft` bench: a region of three members, each a process with its log on disk, beside three members of etcd; puts and linearizable reads in
 * turns. Then how long a region is without a leader that was killed or stopped, what is lost then, and whether leaders change for nothing.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { RegionView } from '../tracker/src/region/region-view.ts'
import { Etcd, findEtcd } from './peers/etcd.ts'
import { type BenchOptions, type BenchResult, formatTable, progress } from './result.ts'
import { kairoVersion } from './support/kairo-process.ts'
import { RaftClient } from './support/raft-client.ts'
import { type Failover, FailoverRun } from './support/raft-failover.ts'
import { RaftMembers } from './support/raft-members.ts'
import type { RoundReading, RoundWork } from './support/raft-work.ts'
import { median, quantile, round } from './support/statistics.ts'
import { tempFolder } from './support/temp-folder.ts'

/** Ends a bench that hangs; it takes about half an hour on two cores, ten minutes of them idle. */
export const deadlineMs = 50 * 60_000

interface Scale {
  readonly repetitions: number
  readonly work: RoundWork
  readonly shots: number
  readonly idleMs: number
}

const full: Scale = {
  repetitions: 3,
  work: { puts: 60_000, singlePuts: 1_500, reads: 3_000 },
  shots: 50,
  idleMs: 10 * 60_000,
}
const quick: Scale = {
  repetitions: 3,
  work: { puts: 10_000, singlePuts: 200, reads: 300 },
  shots: 3,
  idleMs: 20_000,
}
/** One group, and enough keyspaces to lie in all shards. */
const ONE_GROUP = ['one']
const ALL_SHARDS = Array.from({ length: 128 }, (_, index) => `spread-${index}`)
/** No leader changed for so long before it is measured: about 20 s after the start they are handed over, until each member leads as many as the others. */
const EVEN_MS = 40_000
const targets = { puts: 5, putLatency: 1, readLatency: 0.3, failoverMs: 100 }

type OwnReading = RoundReading & { readonly spreadPutsPerS: number }

/** Runs the bench; its figures are named in bench/README.md. */
export async function run({ isQuick }: BenchOptions): Promise<BenchResult> {
  const scale = isQuick ? quick : full
  const folder = tempFolder('raft')
  const programs = await findEtcd()
  progress('starting three members of each')
  const members = await RaftMembers.start(folder.path)
  let etcd: Etcd | undefined
  let client: RaftClient | undefined
  try {
    if (programs !== undefined) etcd = await Etcd.start(programs, folder.path)
    client = await RaftClient.connect(`${folder.path}/client`, members)
    await members.untilSteady(EVEN_MS)
    const readings = await measure(scale, client, etcd)
    const failedCalls = client.failures
    await etcd?.stop()
    const idleElections = await idle(members, scale.idleMs)
    const failovers = await failover(members, client, scale.shots)
    const others = { ...failovers, idleElections, failedCalls }
    return result(scale, readings, etcd?.version, others)
  } finally {
    await client?.stop()
    await etcd?.stop()
    await members.stop()
    folder.remove()
  }
}

interface Readings {
  readonly ours: readonly OwnReading[]
  readonly theirs: readonly RoundReading[]
}

async function measure(
  scale: Scale,
  client: RaftClient,
  etcd: Etcd | undefined,
): Promise<Readings> {
  const ours: OwnReading[] = []
  const theirs: RoundReading[] = []
  for (let repetition = 0; repetition <= scale.repetitions; repetition++) {
    progress(repetition === 0 ? 'warming up' : `round ${repetition} of ${scale.repetitions}`)
    const own = await ownRound(client, scale.work)
    const rival = await etcd?.round(scale.work)
    // The first round only warms up.
    if (repetition === 0) continue
    ours.push(own)
    if (rival !== undefined) theirs.push(rival)
  }
  return { ours, theirs }
}

async function ownRound(client: RaftClient, work: RoundWork): Promise<OwnReading> {
  const [name = ''] = ONE_GROUP
  return {
    putsPerS: await client.putMany(ONE_GROUP, work.puts),
    spreadPutsPerS: await client.putMany(ALL_SHARDS, work.puts),
    putMs: await client.putOneByOne(name, work.singlePuts),
    readMs: await client.readOneByOne(name, work.reads),
  }
}

/** Nobody asks for anything. Returns by how much the terms of all groups grew. */
async function idle(members: RaftMembers, ms: number): Promise<number> {
  progress('leaders are evened out')
  const before = termsOf(await members.untilSteady(EVEN_MS))
  progress(`${ms / 1_000} idle seconds`)
  await delay(ms)
  return termsOf(await members.view()) - before
}

function termsOf({ groups }: RegionView): number {
  return groups.reduce((sum, { term }) => sum + term, 0)
}

interface Failovers {
  readonly kills: readonly Failover[]
  readonly stops: readonly Failover[]
  readonly acknowledged: number
  readonly lostAcks: number
}

async function failover(
  members: RaftMembers,
  client: RaftClient,
  shots: number,
): Promise<Failovers> {
  const run = new FailoverRun(members, client)
  const shoot = async (signal: 'SIGKILL' | 'SIGSTOP'): Promise<Failover[]> => {
    const failovers: Failover[] = []
    for (let shot = 1; shot <= shots; shot++) {
      const each = await run.shoot(signal)
      failovers.push(each)
      progress(`${signal} ${shot} of ${shots}: ${each.firstMs.toFixed(0)} ms`)
    }
    return failovers
  }
  const kills = await shoot('SIGKILL')
  const stops = await shoot('SIGSTOP')
  await members.untilWhole()
  const { acknowledged } = run
  progress(`reading back ${acknowledged} writes`)
  return { kills, stops, acknowledged, lostAcks: await run.lost() }
}

type Others = Failovers & { readonly idleElections: number; readonly failedCalls: number }

function result(
  scale: Scale,
  { ours, theirs }: Readings,
  etcdVersion: string | undefined,
  others: Others,
): BenchResult {
  const own = (key: keyof OwnReading): number => median(ours.map((each) => each[key]))
  const rival = (key: keyof RoundReading): number => median(theirs.map((each) => each[key]))
  const ratios = {
    putsVsEtcd512: round(own('putsPerS') / rival('putsPerS'), 2),
    spreadPutsVsEtcd512: round(own('spreadPutsPerS') / rival('putsPerS'), 2),
    putLatencyVsEtcd1: round(own('putMs') / rival('putMs'), 3),
    readLatencyVsEtcd: round(own('readMs') / rival('readMs'), 3),
  }
  const { kills, stops, acknowledged, lostAcks, idleElections, failedCalls } = others
  const values = {
    ...quantiles('kill', kills),
    ...quantiles('stop', stops),
    ...{ lostAcks, acknowledged, idleElections, idleS: scale.idleMs / 1_000, failedCalls },
    ...{ putsPerS: round(own('putsPerS')), spreadPutsPerS: round(own('spreadPutsPerS')) },
    ...{ putMs: round(own('putMs'), 3), readMs: round(own('readMs'), 3) },
  }
  const rivalValues = {
    putsPerSEtcd: round(rival('putsPerS')),
    ...{ putMsEtcd: round(rival('putMs'), 3), readMsEtcd: round(rival('readMs'), 3) },
  }
  const isCompared = etcdVersion !== undefined
  const failoverMs = ['killP50Ms', 'killP90Ms', 'stopP50Ms', 'stopP90Ms'].map(
    (name) => (values as Record<string, number>)[name] ?? Number.NaN,
  )
  return {
    ok:
      ratios.putsVsEtcd512 >= targets.puts &&
      ratios.putLatencyVsEtcd1 <= targets.putLatency &&
      ratios.readLatencyVsEtcd <= targets.readLatency &&
      failoverMs.every((ms) => ms < targets.failoverMs) &&
      lostAcks === 0 &&
      idleElections === 0,
    ratios: isCompared ? ratios : {},
    values: isCompared ? { ...values, ...rivalValues } : values,
    peers: { kairo: kairoVersion(), ...(isCompared ? { etcd: etcdVersion } : {}) },
    ...(isCompared ? {} : { missing: ['etcd'] }),
    table: tableOf(values, rivalValues, ratios),
  }
}

function quantiles(name: string, failovers: readonly Failover[]): Record<string, number> {
  const first = failovers.map(({ firstMs }) => firstMs)
  const patient = failovers.map(({ patientMs }) => patientMs)
  return {
    [`${name}P50Ms`]: round(median(first)),
    [`${name}P90Ms`]: round(quantile(first, 0.9)),
    [`${name}MaxMs`]: round(Math.max(...first)),
    [`${name}PatientP50Ms`]: round(median(patient)),
    [`${name}PatientP90Ms`]: round(quantile(patient, 0.9)),
  }
}

function tableOf(
  values: Readonly<Record<string, number>>,
  rival: Readonly<Record<string, number>>,
  ratios: Readonly<Record<string, number>>,
): string {
  const row = (name: string, own: string, theirs: string, ratio: string, target: string) => [
    ...[name, String(values[own])],
    ...[String(rival[theirs] ?? ''), String(ratios[ratio] ?? ''), target],
  ]
  const { puts, putLatency, readLatency, failoverMs } = targets
  const limit = `below ${failoverMs}`
  return formatTable([
    ['figure', 'kairo', 'etcd', 'ratio', 'target'],
    row('puts/s, one group', 'putsPerS', 'putsPerSEtcd', 'putsVsEtcd512', `>= ${puts}`),
    row('puts/s, all shards', 'spreadPutsPerS', 'putsPerSEtcd', 'spreadPutsVsEtcd512', ''),
    row('put, one client, ms', 'putMs', 'putMsEtcd', 'putLatencyVsEtcd1', `<= ${putLatency}`),
    row('read, one client, ms', 'readMs', 'readMsEtcd', 'readLatencyVsEtcd', `<= ${readLatency}`),
    ...['killP50Ms', 'killP90Ms', 'stopP50Ms', 'stopP90Ms'].map((name) =>
      row(name, name, '', '', limit),
    ),
    row('lostAcks', 'lostAcks', '', '', '0'),
    row(`idleElections, ${values.idleS} s`, 'idleElections', '', '', '0'),
  ])
}
