import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import {
  AXE,
  closeBrowser,
  DESK,
  enter,
  host,
  message,
  open,
  PEOPLE,
  PHONE,
  PICTURE,
  Server,
  says,
  tokenOf,
  violations,
} from './harness.mjs'

const { alice, bob } = PEOPLE
const dave = { user_id: 900_004, username: 'dave', full_name: 'Dave New' }
const SOURCE = readFileSync(AXE, 'utf8')
const SIZES = { desk: DESK, phone: PHONE }
let server

before(async () => {
  server = await new Server().start()
  await server.call(dave, 'GET', 'users/me/')
  const { id } = await server.group('Old', alice, bob)
  await server.call(bob, 'POST', 'messages/', { room: id, content: 'It was good' })
  await server.call(alice, 'POST', `rooms/${id}/archive/`)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

for (const [size, options] of Object.entries(SIZES)) {
  for (const colorScheme of ['light', 'dark']) {
    const look = { ...options, colorScheme, reducedMotion: 'reduce' }

    test(`rare states, ${size}, ${colorScheme}`, async () => {
      const found = []
      const nobody = await open(server, dave, look)
      await nobody.evaluate(SOURCE)
      await nobody.getByText('No conversations yet').waitFor()
      found.push(await violations(nobody, 'empty list'))
      await nobody.context().close()

      const page = await open(server, alice, look)
      await page.evaluate(SOURCE)
      const back = async () => {
        if (size === 'phone') await page.locator('chat-conversation header .icon').first().click()
        await page.locator('chat-room-list:not([inert])').waitFor()
      }
      const name = `Empty ${size} ${colorScheme}`
      await server.group(name, alice, bob)
      await enter(page, name)
      await page.getByText('Write the first one.').waitFor()
      found.push(await violations(page, 'empty room'))
      const files = page.locator('chat-composer input[type=file]')
      await files.setInputFiles([PICTURE, { ...PICTURE, name: 'bill.pdf', mimeType: 'application/pdf' }])
      await page.locator('chat-attachments img').waitFor()
      found.push(await violations(page, 'chosen files'))
      await page.getByLabel('Discard bill.pdf').click()
      await page.route('**/api/chat/messages/', route =>
        route.fulfill({ status: 422, json: { code: 'rejected' } }),
      )
      await says(page, 'Refused')
      await page.getByText('It was refused.').first().waitFor()
      found.push(await violations(page, 'failed'))
      await page.unroute('**/api/chat/messages/')
      await page.locator('chat-message button:has-text("Try again")').click()
      await message(page, 'Refused').locator('button.picture:not([disabled])').click()
      await page.locator('chat-viewer img').waitFor()
      found.push(await violations(page, 'viewer'))
      await page.keyboard.press('Escape')
      await page.locator('chat-viewer').waitFor({ state: 'detached' })
      await back()
      await page.locator('chat-room-list .fold').click()
      await page.locator('button.room:has-text("Old")').click()
      await page.locator('chat-conversation .closed').waitFor()
      found.push(await violations(page, 'archived'))
      await back()
      await page.locator('chat-room-list header .me').click()
      await page.locator('chat-room-list [role=menuitem]').first().waitFor()
      found.push(await violations(page, 'menu'))
      await page.keyboard.press('Escape')
      await page.locator('chat-room-list input').fill('zzzz')
      await page.getByText('Nothing found').waitFor()
      found.push(await violations(page, 'nothing found'))
      assert.deepEqual(page.faults, [])
      assert.deepEqual(found.flat(), [])
      await page.context().close()
    })

    test(`embedded, ${size}, ${colorScheme}`, async () => {
      const token = tokenOf({ ...alice, grant: 'task:9' })
      const body = `<!doctype html><html lang="en"><title>Task 9</title>
        <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
        <main><h1>Task 9</h1><chat-badge token="${token}"></chat-badge>
        <chat-room task="9" subject="Paint the fence" token="${token}"></chat-room></main>
        <script type="module" src="${server.url}/chat-room.js"></script></html>`
      const close = await host(server, { '/': { headers: { 'Content-Type': 'text/html' }, body } })
      try {
        const page = await open({ url: server.foreign }, null, look, '/')
        await page.evaluate(SOURCE)
        await page.locator('chat-composer textarea').waitFor()
        await says(page, `Seen in ${size} and ${colorScheme}`)
        await message(page, `Seen in ${size} and ${colorScheme}`).waitFor()
        assert.deepEqual(await violations(page, 'embedded'), [])
        await page.context().close()
      } finally {
        await close()
      }
    })
  }
}

test('a lost connection, in light and dark', async () => {
  const pages = []
  for (const colorScheme of ['light', 'dark']) {
    const page = await open(server, alice, { ...DESK, colorScheme, reducedMotion: 'reduce' })
    await page.evaluate(SOURCE)
    await enter(page, 'Empty desk light')
    pages.push(page)
  }
  await server.kill()
  const found = []
  for (const page of pages) {
    await says(page, 'Waits for the line')
    await page.locator('chat-conversation .bar').getByText('Reconnecting').waitFor()
    found.push(await violations(page, 'reconnecting'))
    assert.equal(await page.locator('chat-room-list .bar').count(), 0)
    await page.locator('chat-room-list input').fill('fence')
    await page.locator('chat-room-list').getByText('There is no connection.').waitFor()
    found.push(await violations(page, 'search offline'))
  }
  assert.deepEqual(found.flat(), [])
  await server.start()
})
