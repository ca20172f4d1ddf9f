import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, enter, message, open, PHONE, Server, says } from './harness.mjs'

/** One of the demo users, who have built-in accounts. */
const PASSWORD = 'aristay-demo'
let server
let page

before(async () => {
  server = await new Server({ args: ['--demo'], env: { ACCESS_TOKEN_SECONDS: '8' } }).start()
  page = await open(server, null, PHONE)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

async function signIn(name, password) {
  await page.locator('chat-sign-in input[name=username]').fill(name)
  await page.locator('chat-sign-in input[name=password]').fill(password)
  await page.locator('chat-sign-in button').tap()
}

test('a wrong password is reported', async () => {
  await signIn('maria', 'guessed')
  await page.getByText('Wrong username or password.').waitFor()
})

test('the right password leads to the rooms', async () => {
  await signIn('maria', PASSWORD)
  await enter(page, 'Fix the boiler')
  await message(page, 'You saved the day').waitFor()
})

test('a session outlives its access token', async () => {
  const renewed = () => page.waitForResponse(answer => answer.url().endsWith('/api/token/refresh/'))
  await page.reload()
  await renewed()
  await renewed()
  await says(page, 'Still signed in')
  await message(page, 'Still signed in').locator('.meta svg').waitFor()
  assert.equal(await page.getByText('Please sign in again.').count(), 0)
})

test('signing out leads to the form, also after a reload', async () => {
  await page.locator('chat-conversation header .icon').first().tap()
  await page.locator('chat-room-list header .me').tap()
  await page.waitForFunction(() => document.title.startsWith('('))
  const revoked = page.waitForResponse(answer => answer.url().endsWith('/api/token/revoke/'))
  await page.locator('[role=menuitem]:has-text("Sign out")').tap()
  const answer = await revoked
  assert.equal(answer.status(), 200)
  const again = await page.request.post(`${server.url}/api/token/refresh/`, {
    data: answer.request().postDataJSON(),
  })
  assert.equal(again.status(), 401)
  await page.locator('chat-sign-in input').first().waitFor()
  assert.doesNotMatch(await page.title(), /^\(/)
  await page.reload()
  await page.locator('chat-sign-in input').first().waitFor()
  assert.deepEqual(page.faults, [])
})
