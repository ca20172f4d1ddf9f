/** REST calls with the user's token. A refused token is renewed once. */
import type { Api } from './api.ts'
import { ChatError, errorOf } from './errors.ts'
import type { Tokens } from './tokens.ts'

interface Init {
  readonly params?: {
    readonly path?: Readonly<Record<string, string | number>>
    readonly query?: Readonly<Record<string, unknown>>
  }
  readonly body?: unknown
}

/** Creates the API of `server`. Calls throw [`ChatError`]; without `tokens` they are anonymous. */
export function createApi(server: string, tokens: Tokens | null, fetchOf: typeof fetch): Api {
  const callWith =
    (method: string) =>
    async (path: string, init: Init = {}): Promise<{ data: unknown }> => {
      const url = urlOf(server, path, init)
      let token = tokens && (await tokens.get())
      let response = await request(fetchOf, url, method, token, init.body)
      if (response.status === 401 && tokens && token) {
        tokens.refuse(token)
        token = await tokens.get()
        response = await request(fetchOf, url, method, token, init.body)
      }
      const data: unknown = await response.json().catch(() => undefined)
      if (!response.ok) throw errorOf(response.status, data, response.headers.get('Retry-After'))
      tokens?.accept()
      return { data }
    }
  const api = {
    GET: callWith('GET'),
    POST: callWith('POST'),
    PUT: callWith('PUT'),
    PATCH: callWith('PATCH'),
    DELETE: callWith('DELETE'),
  }
  return api as unknown as Api
}

function urlOf(server: string, path: string, { params }: Init): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(params?.path?.[name] ?? ''),
  )
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params?.query ?? {})) {
    if (value !== undefined) query.set(name, String(value))
  }
  return `${server}${filled}${query.size > 0 ? `?${query}` : ''}`
}

async function request(
  fetchOf: typeof fetch,
  url: string,
  method: string,
  token: string | null,
  body: unknown,
): Promise<Response> {
  const headers: Record<string, string> = {}
  if (token) headers['Authorization'] = `Bearer ${token}`
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  try {
    return await fetchOf(url, { method, headers, body: body === undefined ? null : JSON.stringify(body) })
  } catch {
    throw new ChatError('offline', 'no answer from the server')
  }
}
