import { describe, expect, it } from 'vitest'
import { type Session, type SessionStore, sessionSource, signOut } from '../src/client/accounts.ts'

const token = (user: number, seconds: number, name: string) =>
  `${name}.${btoa(JSON.stringify({ user_id: user, exp: Math.floor(Date.now() / 1000) + seconds }))}.x`

/** The storage that the tabs of one browser share, and a server that accepts each refresh token once. */
function browser(session: Session) {
  let kept: Session | null = session
  let queue = Promise.resolve()
  const used: string[] = []
  const store: SessionStore = {
    read: () => kept,
    write: next => {
      kept = next
    },
    exclusive(action) {
      const done = queue.then(action)
      queue = done.then(
        () => {},
        () => {},
      )
      return done
    },
  }
  const refresh: typeof fetch = async (_url, init) => {
    const { refresh } = JSON.parse(String(init?.body)) as { refresh: string }
    if (used.includes(refresh)) return new Response('{}', { status: 401 })
    used.push(refresh)
    const n = used.length
    return Response.json({ access: token(7, 3600, `new ${n}`), refresh: `refresh ${n}` })
  }
  return { store, refresh, used }
}

describe('a session in several tabs', () => {
  it('is renewed by one tab, and the others use the result', async () => {
    const session = { access: token(7, -10, 'old'), refresh: 'first' }
    const { store, refresh, used } = browser(session)
    const tabs = [1, 2, 3].map(() => sessionSource('', session, store, refresh))
    const given = await Promise.all(tabs.map(tab => (tab as () => Promise<string>)()))
    expect(used).toEqual(['first'])
    expect(new Set(given).size).toBe(1)
    expect(store.read()).toEqual({ access: given[0], refresh: 'refresh 1' })
  })

  it('does not overwrite the session of another user who has signed in meanwhile', async () => {
    const session = { access: token(7, -10, 'old'), refresh: 'first' }
    const { store, refresh } = browser(session)
    const tab = sessionSource('', session, store, refresh) as () => Promise<string>
    store.write({ access: token(8, 3600, 'other'), refresh: 'theirs' })
    expect(await tab()).toMatch(/^new 1/)
    expect(store.read()?.refresh).toBe('theirs')
  })

  it('is not restored after another tab has signed out', async () => {
    const session = { access: token(7, -10, 'old'), refresh: 'first' }
    const { store, refresh } = browser(session)
    const tab = sessionSource('', session, store, refresh) as () => Promise<string>
    const renewed = tab()
    store.write(null)
    await renewed
    expect(store.read()).toBe(null)
  })
})

describe('signing out', () => {
  const session = { access: token(7, 3600, 'a'), refresh: 'mine' }

  it('revokes the session at the server, even if the page closes immediately', async () => {
    const calls: [string, RequestInit | undefined][] = []
    await signOut('https://chat.test', session, async (url, init) => {
      calls.push([String(url), init])
      return Response.json({})
    })
    expect(calls).toHaveLength(1)
    const [url, init] = calls[0]!
    expect(url).toBe('https://chat.test/api/token/revoke/')
    expect(init).toMatchObject({ method: 'POST', keepalive: true, body: '{"refresh":"mine"}' })
  })

  it('sends no request without a refresh token', async () => {
    await signOut('', { ...session, refresh: '' }, () => {
      throw new Error('nothing to end')
    })
  })

  it('succeeds even if the server is unreachable or refuses', async () => {
    await signOut('', session, () => Promise.reject(new TypeError('offline')))
    await signOut('', session, async () => new Response('{}', { status: 401 }))
  })
})
