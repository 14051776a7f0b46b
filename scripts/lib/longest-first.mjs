/** The order of a run: long test files begin first, so that at its end no processor waits for the other's last long one. */

/** Files that take half a minute and more beside others, the longest first by and large. A wrong place costs time and nothing else. */
export const longFiles = [
  'node/test/interop/cdn-network.test.ts',
  'node/test/interop/faults.test.ts',
  'node/test/interop/dvr.test.ts',
  'node/test/interop/clock-jumps.test.ts',
  'node/test/interop/broken-times.test.ts',
  'node/test/interop/broken-files.test.ts',
  'node/test/interop/kubo.test.ts',
  'node/test/interop/broken-odds.test.ts',
  'tracker/test/region/region.test.ts',
  'node/test/interop/client-swarm.test.ts',
  'node/test/interop/network-dvr.test.ts',
  'node/test/interop/region.test.ts',
  'node/test/interop/hostile-purge.test.ts',
  'tracker/test/simulation/whole-members-first-half.test.ts',
  'tracker/test/simulation/whole-members-second-half.test.ts',
  'tracker/test/simulation/core-first-half.test.ts',
  'tracker/test/simulation/core-second-half.test.ts',
  'tracker/test/interop/etcd.test.ts',
  'tracker/test/faults/histories.test.ts',
  'tracker/test/mutation/planted-bugs.test.ts',
  'tracker/test/worker/worker-tracker.test.ts',
  'node/test/coordination/coordination-service.test.ts',
  'node/test/peer.test.ts',
  'node/test/media/child/jobs/transcode.test.ts',
]

/**
 * The same files: long ones first, then the others in their order.
 * @param {readonly string[]} files paths from the root
 * @returns {string[]}
 */
export function longestFirst(files) {
  const long = longFiles.filter((file) => files.includes(file))
  return [...long, ...files.filter((file) => !long.includes(file))]
}
