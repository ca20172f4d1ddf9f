/** The one error type of the client, and its creation from a response. */

/** Why a call failed, with the server's code and message. */
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

/** Returns the code for a response without one: from a proxy, or an error of a single field. */
function codeOf(status: number): string {
  if (status === 413) return 'too_large'
  return status >= 500 ? 'unavailable' : 'invalid'
}

/** Creates an error from a response body: `{detail, code}`, `{error}` or `{field: [reason]}`. */
export function errorOf(status: number, body: unknown, retryAfter: string | null): ChatError {
  const fields = (body !== null && typeof body === 'object' ? body : {}) as Record<string, unknown>
  const first = Object.values(fields).flat()[0]
  const reason = fields['detail'] ?? fields['error'] ?? first
  const code = typeof fields['code'] === 'string' ? fields['code'] : codeOf(status)
  const seconds = Number(fields['retry_after'] ?? retryAfter ?? 0)
  return new ChatError(
    code,
    typeof reason === 'string' ? reason : '',
    status,
    seconds > 0 ? seconds * 1000 : 0,
  )
}
