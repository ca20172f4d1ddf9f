/**
 * The fake server as a program with the commands of the real one: `seed` and `serve`, configured by `BIND` and `DATA_DIR`.
 *
 * `BIND=127.0.0.1:8000 node tests/fake/main.mjs serve`
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { seed } from './seed.mjs'
import { FakeServer } from './server.mjs'

const dir = process.env.DATA_DIR
const server = new FakeServer({ dist: fileURLToPath(new URL('../../dist', import.meta.url)) })
const { state } = server
if (dir) {
  mkdirSync(dir, { recursive: true })
  state.keepAt(join(dir, 'fake-state'))
}
if (state.users.size === 0 && (process.argv[2] === 'seed' || !dir)) {
  seed(state)
  state.keep()
}
console.log('sign in as maria, jonas, amira, luca, sofia, tom, yuki or elena with the password demo')
if (process.argv[2] !== 'seed') {
  await server.listen(Number((process.env.BIND ?? '127.0.0.1:8000').split(':')[1]))
  console.log(`${server.url}/chat/`)
}
