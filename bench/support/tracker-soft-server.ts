/** The soft state of one shard behind a TCP socket, in a process of its own. Frames are a length of 4 bytes and a message; a connection's first frame is the peer's id. */

import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { systemClock } from '../../tracker/src/clock.ts'
import { SoftShard } from '../../tracker/src/soft/soft-shard.ts'
import { FrameReader, frameHeaderBytes, writeFrameHeader } from './tracker-frames.ts'

// Each peer sends its next batch when it has the answer to the last one, not a second later: there are as many as the server takes.
const limits = { batchesPerTickMax: 1_000_000 }
const shard = new SoftShard({ clock: systemClock, random: Math.random }, { limits })
shard.lead(1)

function serve(socket: Socket): void {
  let peerId = ''
  const reader = new FrameReader((frame) => {
    if (peerId === '') {
      peerId = Buffer.from(frame).toString()
      return
    }
    const answer = shard.answer(peerId, frame)
    const framed = Buffer.allocUnsafe(frameHeaderBytes + answer.length)
    writeFrameHeader(framed, answer.length)
    framed.set(answer, frameHeaderBytes)
    socket.write(framed)
  })
  socket.setNoDelay(true)
  socket.on('data', (chunk) => reader.push(chunk))
  socket.on('close', () => shard.forget(peerId))
  // The load is gone.
  socket.on('error', () => socket.destroy())
}

const server = createServer(serve)
server.listen({ port: 0, host: '127.0.0.1', backlog: 2_048 }, () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }))
})
