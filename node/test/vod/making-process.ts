/** Makes a video until it is killed, and says on standard output when a first stretch is finished: for tests of what is left. */
import { startVodPeer } from '../support/vod-peer.ts'

const [directory = '', path = ''] = process.argv.slice(2)
// One child at a time: while the second stretch is made, the first one is finished.
const peer = await startVodPeer(directory, { storyboard: false })
await peer.library.addFile({ path, title: '', mode: 'copy' })
setInterval(() => {
  void peer.registry.metrics().then((text) => {
    const [, done = '0'] = /kairo_vod_tasks_total\{outcome="done"\} (\d+)/.exec(text) ?? []
    // Probe, copy or sound, and two stretches at least.
    if (Number(done) >= 4) process.stdout.write('finished\n')
  })
}, 5)
