/** Plain requests as the HTTP server hands them to handlers, for tests that call a handler by itself. */
import type { PlainRequest } from '../../src/http/prepared-response.ts'

/** A GET of `path` with the given fields; what is in `more` wins. */
export function plainRequest(
  path: string,
  more: Partial<PlainRequest> = {},
  headers: Readonly<Record<string, string>> = {},
): PlainRequest {
  return {
    method: 'GET',
    path,
    query: '',
    host: headers.host ?? 'localhost',
    ifNoneMatch: headers['if-none-match'],
    acceptEncoding: headers['accept-encoding'],
    asksCache: ['cache-control', 'pragma', 'if-none-match', 'if-modified-since'].some(
      (name) => name in headers,
    ),
    fieldNames: () => Object.keys(headers),
    header: (name) => headers[name],
    ...more,
  }
}
