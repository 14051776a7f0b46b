/** `kairo streams`: the network's streams as the running peer knows them. */
import { streamsSchema } from '../api/schemas.ts'
import type { Arguments } from './arguments.ts'
import { PeerClient } from './client.ts'
import { formatTable, print, printJson } from './output.ts'

/** Runs the command; 0 when a peer answered. */
export async function streams(input: Arguments): Promise<number> {
  const client = new PeerClient(input.load().settings.home)
  const answer = await client.call('GET', '/api/streams', streamsSchema)
  if (input.json) {
    printJson(answer)
    return 0
  }
  if (answer.streams.length === 0) {
    print('No streams in the network yet.')
    return 0
  }
  const rows = answer.streams.map((stream) => {
    const video = stream.renditions.find(({ kind }) => kind === 'video')
    return [
      stream.name,
      stream.state,
      stream.status,
      video === undefined ? 'audio' : `${video.width}x${video.height}`,
      stream.renditions.map(({ codecs }) => codecs).join(','),
      new URL(`/live/${stream.name}/master.m3u8`, client.url).href,
    ]
  })
  print(formatTable([['stream', 'state', 'here', 'picture', 'codecs', 'watch'], ...rows]))
  return 0
}
