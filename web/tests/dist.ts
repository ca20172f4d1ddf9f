/** Builds the page and the tag once before the tests, which check them as they are shipped. */
import { execFileSync } from 'node:child_process'

export function setup(): void {
  const cwd = new URL('..', import.meta.url).pathname
  const env = { ...process.env, NODE_ENV: 'production' }
  execFileSync('node', ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn'], {
    cwd,
    env,
    stdio: 'inherit',
  })
}
