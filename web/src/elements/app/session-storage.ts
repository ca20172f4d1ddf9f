/** The session of a built-in account in `localStorage`, shared by all tabs. */
import type { Session, SessionStore } from '../../client/accounts.ts'

const KEY = 'chat session'
/** How long a tab that freezes during a renewal may block the others. */
const LOCK_MS = 15_000

export const SESSION_STORE: SessionStore = {
  read() {
    try {
      return JSON.parse(localStorage.getItem(KEY) ?? 'null') as Session | null
    } catch {
      return null
    }
  },
  write(session) {
    try {
      if (session) localStorage.setItem(KEY, JSON.stringify(session))
      else localStorage.removeItem(KEY)
    } catch {
      // Without storage the user has to sign in again at the next visit.
    }
  },
  exclusive: async action => {
    // Locks exist only in secure contexts, not over plain HTTP.
    if (!navigator.locks) return action()
    return navigator.locks.request(KEY, { signal: AbortSignal.timeout(LOCK_MS) }, action)
  },
}

/** Calls `action` whenever another tab has signed in or out, until `signal` aborts. */
export function onSessionChange(action: () => void, signal: AbortSignal): void {
  const onStorage = ({ key }: StorageEvent) => {
    if (key === KEY || key === null) action()
  }
  addEventListener('storage', onStorage, { signal })
}
