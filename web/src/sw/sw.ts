/**
 * The page's service worker: caches the files of the page, so that it opens offline.
 *
 * It handles only requests below `/chat/`; API calls go to the server. The page itself comes from the network
 * as long as that responds. Files with a hash in their name never change and come from the cache. That also
 * serves a tab of the previous version, whose files the server may no longer have.
 *
 * It also shows notifications, see `notices.ts`.
 */
import { handleNotices } from './notices.ts'

declare const self: ServiceWorkerGlobalScope
/** The paths of the built files, and their version. The build fills in both. */
declare const SHELL_FILES: readonly string[]
declare const SHELL_VERSION: string

const PAGE = '/chat/'
const PREFIX = 'chat shell '
const NAME = PREFIX + SHELL_VERSION
/** Number of versions kept: the current and the previous one. */
const VERSIONS_MAX = 2
/** After this time the page comes from the cache. */
const NETWORK_TIMEOUT_MS = 3_000

self.addEventListener('install', event => event.waitUntil(install()))
self.addEventListener('activate', event => event.waitUntil(deleteOldVersions()))
self.addEventListener('fetch', event => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (request.method !== 'GET' || origin !== self.location.origin || !pathname.startsWith(PAGE)) return
  if (request.mode !== 'navigate') event.respondWith(fileOf(request))
  else if (!pathname.split('/').at(-1)!.includes('.')) event.respondWith(pageOf(request))
})
handleNotices()

/** Copies unchanged files from the previous version and fetches the others. */
async function install(): Promise<void> {
  const cache = await caches.open(NAME)
  await Promise.all(
    SHELL_FILES.map(async path => {
      const cached = isHashed(path) ? await caches.match(path, { ignoreVary: true }) : undefined
      const response = cached ?? (await fetch(path, { cache: 'no-cache' }))
      if (!response.ok) throw new Error(`${path}: ${response.status}`)
      await cache.put(path, response)
    }),
  )
  await self.skipWaiting()
}

async function deleteOldVersions(): Promise<void> {
  const names = (await caches.keys()).filter(name => name.startsWith(PREFIX) && name !== NAME)
  const old = names.slice(0, Math.max(0, names.length + 1 - VERSIONS_MAX))
  await Promise.all(old.map(name => caches.delete(name)))
}

/** Returns the page, which is the same for every room. */
async function pageOf(request: Request): Promise<Response> {
  const fromCache = async () =>
    (await (await caches.open(NAME)).match(PAGE, { ignoreVary: true })) ?? Response.error()
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(NETWORK_TIMEOUT_MS) })
    // While the server restarts, a proxy responds with an error page of its own.
    return response.status >= 500 ? await fromCache() : response
  } catch {
    return fromCache()
  }
}

async function fileOf(request: Request): Promise<Response> {
  const cache = await caches.open(NAME)
  const options = { ignoreVary: true }
  const cached = (await cache.match(request, options)) ?? (await caches.match(request, options))
  if (cached) return cached
  const response = await fetch(request)
  if (response.ok && isHashed(new URL(request.url).pathname)) await cache.put(request, response.clone())
  return response
}

function isHashed(path: string): boolean {
  return path.startsWith(`${PAGE}assets/`)
}
