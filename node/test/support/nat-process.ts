/**
 * Half of a NAT for TCP, made of two network namespaces: the inner half takes every connection from inside, whatever its
 * target, and the outer half, which has the public address, makes it. They talk through a Unix socket, which namespaces do
 * not divide. Nothing comes in that was not begun inside. Arguments: `inner <socket> <port>` or `outer <socket>`.
 */
import { connect, createServer, type Socket } from 'node:net'

const [half, path = '', port = ''] = process.argv.slice(2)

if (half === 'inner') {
  createServer({ allowHalfOpen: true }, (inside) => {
    const outside = connect({ path, allowHalfOpen: true })
    outside.write(`${inside.localAddress} ${inside.localPort}\n`)
    join(inside, outside)
  }).listen(Number(port), '0.0.0.0', () => process.stdout.write('ready\n'))
} else {
  createServer({ allowHalfOpen: true }, (inside) => {
    let head = ''
    inside.on('data', function onData(chunk: Buffer) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\n')
      if (end < 0) return
      inside.off('data', onData)
      inside.pause()
      const [host = '', target = ''] = head.slice(0, end).split(' ')
      const outside = connect({ host, port: Number(target), allowHalfOpen: true })
      outside.write(Buffer.from(head.slice(end + 1), 'latin1'))
      join(inside, outside)
    })
  }).listen(path, () => process.stdout.write('ready\n'))
}

function join(a: Socket, b: Socket): void {
  a.pipe(b)
  b.pipe(a)
  a.on('error', () => b.destroy())
  b.on('error', () => a.destroy())
  a.on('close', () => b.destroy())
  b.on('close', () => a.destroy())
}
