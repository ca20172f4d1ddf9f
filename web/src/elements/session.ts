/** The session of the page's own sign-in, for the next visit and for all tabs. */
import type { Session, SessionStore } from '../client/accounts.ts'

const KEY = 'chat session'
/** A tab that is frozen while it renews doesn't hold up the others for longer. */
const ALONE_MS = 15_000

export const SESSIONS: SessionStore = {
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
      // A browser that keeps nothing asks again next time.
    }
  },
  alone: async act => {
    // Only where the page is safe from listeners: over plain HTTP there are no locks.
    if (!navigator.locks) return act()
    return navigator.locks.request(KEY, { signal: AbortSignal.timeout(ALONE_MS) }, act)
  },
}

/** Calls `act` when another tab has signed in or out, until `signal`. */
export function onOtherTab(act: () => void, signal: AbortSignal): void {
  const look = ({ key }: StorageEvent) => {
    if (key === KEY || key === null) act()
  }
  addEventListener('storage', look, { signal })
}
