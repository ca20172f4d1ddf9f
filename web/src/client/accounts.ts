/** Built-in accounts: signing in and out, and renewing access tokens with a refresh token. */
import { ChatError } from './errors.ts'
import { createApi } from './rest.ts'
import { AuthNeeded, claimsOf, type TokenSource, userIdOf } from './tokens.ts'

/** A stored access token that expires sooner than this is not used. */
const MARGIN_MS = 60_000

/** The pair of tokens that signing in returns. */
export interface Session {
  readonly access: string
  readonly refresh: string
}

/** Signs in with username and password. @throws ChatError `unauthorized` if they are wrong. */
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
 * Ends a session at the server, which revokes its refresh tokens.
 *
 * Errors are ignored: without a connection the tokens expire by themselves. The request is sent even if the
 * page is closed immediately afterwards.
 */
export async function signOut(
  server: string,
  { refresh }: Session,
  fetchOf: typeof fetch = fetch,
): Promise<void> {
  if (!refresh) return
  const keepalive: typeof fetch = (url, init) => fetchOf(url, { ...init, keepalive: true })
  await createApi(server, null, keepalive)
    .POST('/api/token/revoke/', { body: { refresh } })
    .catch(() => {})
}

/** Storage for a session that several tabs share: a pair that one tab has renewed is used by the others. */
export interface SessionStore {
  read(): Session | null
  write(session: Session | null): void
  /** Runs `action` while no other tab runs one: a refresh token can be used only once. */
  exclusive<T>(action: () => Promise<T>): Promise<T>
}

/**
 * Creates a source that first returns the session's access token and then requests new ones.
 *
 * Each new pair is written to `store`. A refresh token that is no longer valid results in `AuthNeeded`.
 */
export function sessionSource(
  server: string,
  session: Session,
  store: SessionStore,
  fetchOf: typeof fetch = fetch,
): TokenSource {
  const api = createApi(server, null, fetchOf)
  let current = session
  let used = false
  const renew = async () => {
    const stored = store.read()
    if (stored && stored.access !== current.access && userIdOf(stored.access) === userIdOf(current.access)) {
      current = stored
      if (isFresh(current.access)) return current.access
    }
    try {
      const { data } = await api.POST('/api/token/refresh/', { body: { refresh: current.refresh } })
      // Each response contains the refresh token for the next renewal.
      current = { ...current, ...data }
    } catch (cause) {
      if (cause instanceof ChatError && (cause.status === 401 || cause.status === 400)) {
        throw new AuthNeeded('the session has ended')
      }
      throw cause
    }
    // Another tab may have signed out, or signed in as another user, in the meantime.
    const now = store.read()
    if (now && userIdOf(now.access) === userIdOf(current.access)) store.write(current)
    return current.access
  }
  return async () => {
    if (!used && isFresh(current.access)) {
      used = true
      return current.access
    }
    return store.exclusive(renew)
  }
}

function isFresh(access: string): boolean {
  const { exp } = claimsOf(access)
  return exp === undefined || exp * 1000 > Date.now() + MARGIN_MS
}
