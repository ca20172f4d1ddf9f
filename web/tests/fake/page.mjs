/** Serves the built page at the paths and with the policy that `vite.config.ts` describes. */
import { existsSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { Refused } from './state.mjs'

const MIME = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
}
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self' ws: wss:; " +
  "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

export function servePage(dist, path, res) {
  if (!dist) throw new Refused(404, 'not_found')
  if (path === '/') return res.writeHead(302, { Location: '/chat/' }).end()
  let file = join(dist, path === '/chat-room.js' ? path : path.replace(/^\/chat\//, '/'))
  if (path.startsWith('/chat/') && !extname(path)) file = join(dist, 'index.html')
  if (!existsSync(file)) throw new Refused(404, 'not_found')
  res.writeHead(200, { 'Content-Type': MIME[extname(file)], 'Content-Security-Policy': POLICY })
  res.end(readFileSync(file))
}
