/** Reads a URL through this peer's own HTTP server, as any client would, so that its cache has it afterwards. */
import { request } from 'node:http'
import { KairoError } from '../../errors.ts'

/**
 * Bytes of the answer, which is read to its end and thrown away. The name and the port in the URL are those that clients use; the
 * connection goes to `server`.
 * @throws KairoError `ERR_INVALID_INPUT` when it is no HTTP URL, `ERR_NO_PROVIDER` when it is not answered with success, or not whole.
 */
export async function loadUrl(
  url: string,
  server: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<number> {
  const parsed = URL.parse(url)
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw new KairoError('ERR_INVALID_INPUT', 'expected an HTTP URL')
  }
  const path = `${parsed.pathname}${parsed.search}`
  const headers = { host: parsed.host, 'x-forwarded-proto': parsed.protocol.slice(0, -1) }
  return await new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new KairoError('ERR_NO_PROVIDER', `not read: ${cause.message}`, { cause }))
    const message = request({ ...server, path, headers, signal, agent: false }, (response) => {
      const { statusCode = 0 } = response
      if (statusCode !== 200) {
        response.destroy()
        fail(new Error(`the answer was ${statusCode}`))
        return
      }
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength
      })
      response.once('error', fail)
      response.once('end', () => resolve(bytes))
    })
    message.once('error', fail)
    message.end()
  })
}
