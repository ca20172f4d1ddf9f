/** REST calls with the person's token; a refused token is renewed once. */
import type { Api } from './calls.ts'
import type { Tokens } from './token.ts'

/** Why a call failed, in the server's words and codes. */
export class ChatError extends Error {
  override name = 'ChatError'

  constructor(
    readonly code: string,
    message: string,
    readonly status = 0,
    readonly retry_after_ms = 0,
  ) {
    super(message)
  }

  /** Whether the same call may succeed later. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code)
  }
}

/** Codes after which the same request may be sent again; `offline` is this client's own. */
const RETRYABLE = new Set(['rate_limited', 'overloaded', 'unavailable', 'unknown_outcome', 'offline'])

/** The code of an answer that brings none: from a proxy, or of one field that is at fault. */
function codeOf(status: number): string {
  if (status === 413) return 'too_large'
  return status >= 500 ? 'unavailable' : 'invalid'
}

/** Makes an error of an answer: `{detail, code}`, `{error}` or `{field: [why]}`. */
export function errorOf(status: number, body: unknown, retryAfter: string | null): ChatError {
  const fields = (body !== null && typeof body === 'object' ? body : {}) as Record<string, unknown>
  const first = Object.values(fields).flat()[0]
  const said = fields['detail'] ?? fields['error'] ?? first
  const code = typeof fields['code'] === 'string' ? fields['code'] : codeOf(status)
  const seconds = Number(fields['retry_after'] ?? retryAfter ?? 0)
  return new ChatError(code, typeof said === 'string' ? said : '', status, seconds > 0 ? seconds * 1000 : 0)
}

interface Init {
  readonly params?: {
    readonly path?: Readonly<Record<string, string | number>>
    readonly query?: Readonly<Record<string, unknown>>
  }
  readonly body?: unknown
}

/** Makes calls whose answers are values or a thrown [`ChatError`]; without `tokens` they say nothing of who calls. */
export function createApi(server: string, tokens: Tokens | null, fetchOf: typeof fetch): Api {
  const via =
    (method: string) =>
    async (path: string, init: Init = {}): Promise<{ data: unknown }> => {
      const url = urlOf(server, path, init)
      let token = tokens && (await tokens.get())
      let answer = await ask(fetchOf, url, method, token, init.body)
      if (answer.status === 401 && tokens && token) {
        tokens.refuse(token)
        token = await tokens.get()
        answer = await ask(fetchOf, url, method, token, init.body)
      }
      const data: unknown = await answer.json().catch(() => undefined)
      if (!answer.ok) throw errorOf(answer.status, data, answer.headers.get('Retry-After'))
      tokens?.accept()
      return { data }
    }
  const api = {
    GET: via('GET'),
    POST: via('POST'),
    PUT: via('PUT'),
    PATCH: via('PATCH'),
    DELETE: via('DELETE'),
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

async function ask(
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
