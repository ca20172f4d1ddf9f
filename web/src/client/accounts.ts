/** The engine's own accounts: signing in, and access tokens from a refresh token. */
import { ChatError, createApi } from './rest.ts'
import { AuthNeeded, claimsOf, type TokenSource } from './token.ts'

/** A stored access token with less than this left isn't worth a try. */
const SPARE_MS = 60_000

/** The pair that signing in gives. */
export interface Session {
  readonly access: string
  readonly refresh: string
}

/** Signs in with name and password. @throws ChatError `unauthorized` when they don't fit. */
export async function signIn(
  server: string,
  username: string,
  password: string,
  fetchOf: typeof fetch = fetch,
): Promise<Session> {
  const { data } = await createApi(server, null, fetchOf).POST('/api/token/', {
    body: { username, password },
  })
  return data
}

/**
 * Makes a source that first gives the session's access token and then asks for new ones.
 *
 * `keep` is told each new pair; a refresh token that is no longer good ends in `AuthNeeded`.
 */
export function sessionSource(
  server: string,
  session: Session,
  keep: (session: Session) => void,
  fetchOf: typeof fetch = fetch,
): TokenSource {
  const api = createApi(server, null, fetchOf)
  let current = session
  let given = false
  return async () => {
    const { exp } = claimsOf(current.access)
    if (!given && (exp === undefined || exp * 1000 > Date.now() + SPARE_MS)) {
      given = true
      return current.access
    }
    try {
      const { data } = await api.POST('/api/token/refresh/', { body: { refresh: current.refresh } })
      // A refresh token is good for one use: with the access token comes the next one.
      current = { ...current, ...data }
    } catch (cause) {
      if (cause instanceof ChatError && (cause.status === 401 || cause.status === 400)) {
        throw new AuthNeeded('the session has ended')
      }
      throw cause
    }
    keep(current)
    return current.access
  }
}
