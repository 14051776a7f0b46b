/**
 * Asks a peer over HTTP who it is: `GET <url>/api/peer` answers `{"peerId": …, "multiaddrs": [...]}`. So a web address is
 * enough to join.
 */
import { get as httpGet, type IncomingMessage } from 'node:http'
import { get as httpsGet } from 'node:https'
import { z } from 'zod'
import { KairoError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { hostLimits } from '../limits.ts'

const peerInfoSchema = z.object({
  peerId: z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{32,64}$/),
  multiaddrs: z.array(z.string().startsWith('/').max(512)).min(1).max(hostLimits.peerAddressesMax),
})

/** Who a peer is and where it can be dialled; every address carries its peer id. */
export type PeerInfo = z.infer<typeof peerInfoSchema>

/**
 * Asks the peer behind a URL.
 * @throws KairoError `ERR_NO_PROVIDER` when it does not answer with 200, `ERR_PROTOCOL` when the answer is no peer
 * description, `ERR_LIMIT` when it is too long, `ERR_TIMEOUT` when the signal fires.
 */
export async function fetchPeerInfo(
  url: string,
  options: { readonly signal: AbortSignal },
): Promise<PeerInfo> {
  const target = new URL('api/peer', url.endsWith('/') ? url : `${url}/`)
  const text = await download(target, options.signal)
  const parsed = peerInfoSchema.safeParse(parseJson(text))
  if (!parsed.success) {
    throw new KairoError('ERR_PROTOCOL', `${target} does not describe a peer`, {
      cause: parsed.error,
    })
  }
  const { peerId, multiaddrs } = parsed.data
  // With its id in every address, whoever answers there must prove to be that peer.
  return {
    peerId,
    multiaddrs: multiaddrs.map((address) =>
      address.includes('/p2p/') ? address : `${address}/p2p/${peerId}`,
    ),
  }
}

async function download(target: URL, signal: AbortSignal): Promise<string> {
  try {
    const response = await request(target, signal)
    if (response.statusCode !== 200) {
      response.destroy()
      throw new KairoError('ERR_NO_PROVIDER', `${target} answers ${response.statusCode}`)
    }
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength
      if (bytes > hostLimits.peerInfoBytesMax) {
        throw new KairoError('ERR_LIMIT', `the answer of ${target} is too long`)
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString('utf8')
  } catch (cause) {
    if (cause instanceof KairoError) throw cause
    if (signal.aborted) throw new KairoError('ERR_TIMEOUT', `${target} does not answer`, { cause })
    const reason = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message
    throw new KairoError('ERR_NO_PROVIDER', `cannot reach ${target}: ${reason}`, { cause })
  }
}

function request(target: URL, signal: AbortSignal): Promise<IncomingMessage> {
  const get = target.protocol === 'https:' ? httpsGet : httpGet
  return new Promise((resolve, reject) => {
    // One request, one connection: nothing is left open behind it.
    get(target, { signal, agent: false, headers: { accept: 'application/json' } }, resolve).on(
      'error',
      reject,
    )
  })
}
