import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, message, open, PEOPLE, PHONE, Server, tokenOf } from './harness.mjs'

const newcomer = { user_id: 900_007, username: 'newcomer', full_name: 'New Comer' }
const { alice, bob, carol } = PEOPLE
const others = [900_008, 900_009].map(user_id => ({
  user_id,
  username: `guest${user_id}`,
  full_name: 'A Guest',
}))
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

test('an invitation is kept through a failure, and used when one tries again', async () => {
  const { path } = await invite()
  const page = await open(server, others[0], DESK, null)
  await page.route('**/api/chat/invitations/accept/', route => route.abort(), { times: 1 })
  await page.goto(server.url + path)
  const notice = page.locator('[role=alert]:has-text("There is no connection.")')
  await notice.getByText('Try again').click()
  await page.waitForURL(`${server.url}/chat/r/${room}`)
  await page.locator('chat-conversation [role=log]').waitFor()
  await notice.waitFor({ state: 'detached' })
  await page.goBack()
  assert.equal(new URL(page.url()).hash, '', 'the history keeps no token')
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('an invitation waits for whoever has to sign in again', async () => {
  const { path } = await invite()
  const page = await open(server, null, PHONE, null)
  const ended = JSON.stringify({ access: tokenOf(others[1], -60), refresh: 'ended' })
  await page.addInitScript(kept => localStorage.setItem('chat session', kept), ended)
  await page.route('**/api/token/', route =>
    route.fulfill({ json: { access: tokenOf(others[1]), refresh: '' } }),
  )
  await page.goto(server.url + path)
  await page.locator('chat-sign-in input[name=username]').fill('guest')
  await page.locator('chat-sign-in input[name=password]').fill('a password')
  await page.locator('chat-sign-in button').tap()
  await page.waitForURL(`${server.url}/chat/r/${room}`)
  await page.locator('chat-conversation [role=log]').waitFor()
  assert.deepEqual(page.faults, [])
  await page.context().close()
})
