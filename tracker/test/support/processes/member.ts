/** One member of a region as a process: a whole tracker with its thread, its log in a folder of the disk, and lines over TCP. */
import { createTracker } from '../../../src/program.ts'
import type { MemberOrder, MemberReport } from './member-messages.ts'
import { TcpLines } from './tcp-lines.ts'

const [peerId = '', folder = '', founds = ''] = process.argv.slice(2)
const lines = new TcpLines(peerId)
const tracker = createTracker(
  {
    ...{ transport: lines, mayJoin: () => true },
    peerFacts: { isReachable: true, load: 0, roles: [] },
    onFailure: (error) => {
      process.stderr.write(`${error.stack}\n`)
      process.exit(1)
    },
  },
  { folder, region: 'faults', expectsPeers: founds !== 'founds' },
)

function tell(report: MemberReport): void {
  process.send?.(report)
}

async function tellView(id: number): Promise<void> {
  // One that is in no region, or cannot ask, has nothing to tell now.
  const view = await tracker.view().catch(() => undefined)
  tell({ type: 'view', id, view })
}

process.on('message', (order: MemberOrder) => {
  if (order.type === 'know') lines.know(order.ports)
  else if (order.type === 'cut') lines.cut(order.peerIds)
  else void tellView(order.id)
})
// Whoever started it is gone.
process.on('disconnect', () => process.exit(0))
const port = await lines.listen()
await tracker.start()
tell({ type: 'listening', port })
