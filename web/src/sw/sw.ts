/**
 * The page's service worker: keeps what the page is made of, so that it opens without a line.
 *
 * It answers for what lies under `/chat/` and nothing else: what the server has to say goes to the server.
 * The page itself comes from the network as long as that answers. Parts with a hash in their name never
 * change, so they are taken from what is kept, also by a tab of the version before, whose parts the server
 * may not have any more.
 */
declare const self: ServiceWorkerGlobalScope
/** What the build has made, by path; it puts the values in. */
declare const SHELL_FILES: readonly string[]
declare const SHELL_VERSION: string

const PAGE = '/chat/'
const PREFIX = 'chat shell '
const NAME = PREFIX + SHELL_VERSION
/** Versions kept: this one and the one before. */
const VERSIONS_MAX = 2
/** A network that hasn't brought the page by then is as good as none. */
const PATIENCE_MS = 3_000

self.addEventListener('install', event => event.waitUntil(install()))
self.addEventListener('activate', event => event.waitUntil(clean()))
self.addEventListener('fetch', event => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (request.method !== 'GET' || origin !== self.location.origin || !pathname.startsWith(PAGE)) return
  if (request.mode !== 'navigate') event.respondWith(part(request))
  else if (!pathname.split('/').at(-1)!.includes('.')) event.respondWith(page(request))
})

/** Takes unchanged parts from the version before and reads the others. */
async function install(): Promise<void> {
  const cache = await caches.open(NAME)
  await Promise.all(
    SHELL_FILES.map(async path => {
      const known = hashed(path) ? await caches.match(path, { ignoreVary: true }) : undefined
      const answer = known ?? (await fetch(path, { cache: 'no-cache' }))
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
      await cache.put(path, answer)
    }),
  )
  await self.skipWaiting()
}

async function clean(): Promise<void> {
  const names = (await caches.keys()).filter(name => name.startsWith(PREFIX) && name !== NAME)
  const old = names.slice(0, Math.max(0, names.length + 1 - VERSIONS_MAX))
  await Promise.all(old.map(name => caches.delete(name)))
}

/** The page, whatever room its address names. */
async function page(request: Request): Promise<Response> {
  const kept = async () =>
    (await (await caches.open(NAME)).match(PAGE, { ignoreVary: true })) ?? Response.error()
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) })
    // A proxy whose server is just gone says so in its own words.
    return answer.status >= 500 ? await kept() : answer
  } catch {
    return kept()
  }
}

async function part(request: Request): Promise<Response> {
  const cache = await caches.open(NAME)
  const how = { ignoreVary: true }
  const known = (await cache.match(request, how)) ?? (await caches.match(request, how))
  if (known) return known
  const answer = await fetch(request)
  if (answer.ok && hashed(new URL(request.url).pathname)) await cache.put(request, answer.clone())
  return answer
}

function hashed(path: string): boolean {
  return path.startsWith(`${PAGE}assets/`)
}

export {}
