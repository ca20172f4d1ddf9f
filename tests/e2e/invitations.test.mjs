import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, message, open, PEOPLE, PHONE, Server } from './harness.mjs'

const newcomer = { user_id: 900_007, username: 'newcomer', full_name: 'New Comer' }
const { alice, bob, carol } = PEOPLE
let server
let room

before(async () => {
  server = await new Server().start()
  room = (await server.group('Cellar', alice)).id
  await server.says(alice, room, ['not for guests'])
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** Invites by a link; returns what follows the server's address in it, and the invitation's id. */
async function invite() {
  const { id, url } = await server.call(alice, 'POST', 'invitations/', { room })
  assert.ok(url.startsWith(server.url), url)
  return { id, path: url.slice(server.url.length) }
}

for (const [size, user, options] of [
  ['desk', bob, DESK],
  ['phone', carol, PHONE],
]) {
  test(`the link of an invitation opens its room, ${size}`, async () => {
    const page = await open(server, user, options, (await invite()).path)
    await page.waitForURL(`${server.url}/chat/r/${room}`)
    await page.locator('chat-conversation [role=log]').waitFor()
    await server.says(alice, room, [`welcome, ${size}`])
    await message(page, `welcome, ${size}`).waitFor()
    assert.equal(await message(page, 'not for guests').count(), 0)
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`an invitation that was withdrawn is refused in words, ${size}`, async () => {
    const { id, path } = await invite()
    await server.call(alice, 'DELETE', `invitations/${id}/`)
    // Who is in the room already is let in by any link to it.
    const page = await open(server, newcomer, options, path)
    await page.locator('[role=alert]:has-text("cannot be used")').waitFor()
    assert.equal(new URL(page.url()).hash, '', 'the address keeps no token')
    await page.context().close()
  })
}
