/** The engine's own accounts: signing in, and access tokens from a refresh token. */
import { ChatError, createApi } from './rest.ts'
import { AuthNeeded, claimsOf, type TokenSource, userOf } from './token.ts'

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
 * Ends a sign-in at the server, whose refresh tokens are good for nothing from then on.
 *
 * Nobody waits for it: without a connection the tokens end by themselves. It is also sent when the page closes at once.
 */
export async function signOut(
  server: string,
  { refresh }: Session,
  fetchOf: typeof fetch = fetch,
): Promise<void> {
  if (!refresh) return
  const lasting: typeof fetch = (url, init) => fetchOf(url, { ...init, keepalive: true })
  await createApi(server, null, lasting)
    .POST('/api/token/revoke/', { body: { refresh } })
    .catch(() => {})
}

/** Where a session is kept that several tabs use: what one of them has renewed, the others take. */
export interface SessionStore {
  read(): Session | null
  write(session: Session | null): void
  /** Does `act` while no other tab does: a refresh token is good for one use. */
  alone<T>(act: () => Promise<T>): Promise<T>
}

/**
 * Makes a source that first gives the session's access token and then asks for new ones.
 *
 * `store` is told each new pair; a refresh token that is no longer good ends in `AuthNeeded`.
 */
export function sessionSource(
  server: string,
  session: Session,
  store: SessionStore,
  fetchOf: typeof fetch = fetch,
): TokenSource {
  const api = createApi(server, null, fetchOf)
  let current = session
  let given = false
  const renew = async () => {
    const kept = store.read()
    if (kept && kept.access !== current.access && userOf(kept.access) === userOf(current.access)) {
      current = kept
      if (lasts(current.access)) return current.access
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
    // Who has signed out or in meanwhile, in another tab, stays so.
    const now = store.read()
    if (now && userOf(now.access) === userOf(current.access)) store.write(current)
    return current.access
  }
  return async () => {
    if (!given && lasts(current.access)) {
      given = true
      return current.access
    }
    return store.alone(renew)
  }
}

function lasts(access: string): boolean {
  const { exp } = claimsOf(access)
  return exp === undefined || exp * 1000 > Date.now() + SPARE_MS
}
