/** bittorrent-tracker with nothing but its UDP transport, in a process of its own. */
import Server from 'bittorrent-tracker/server'

const server = new Server({ udp: true, http: false, ws: false, stats: false })
// It wants a socket for IPv6 too, which not every machine can give; nothing is asked there.
server.on('error', (error) => console.error(error))
server.udp4.once('listening', () => {
  console.log(JSON.stringify({ port: server.udp4.address().port }))
})
server.listen(0, { udp: '127.0.0.1', udp6: '::1' })
