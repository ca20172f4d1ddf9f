/** Pinned messages, forwarded messages and the history of edits. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import {
  AXE,
  act,
  closeBrowser,
  DESK,
  enter,
  message,
  open,
  openActions,
  PEOPLE,
  PHONE,
  Server,
  violations,
} from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
const SIZES = { desk: DESK, phone: PHONE }
let server

before(async () => {
  server = await new Server().start()
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const bar = page => page.locator('chat-pins .pin')
const item = (page, text) => page.locator(`chat-actions [role=menuitem]:has-text("${text}")`).first()

async function post(user, room, content) {
  return server.call(user, 'POST', 'messages/', { room, content })
}

for (const [size, options] of Object.entries(SIZES)) {
  const touch = size === 'phone'

  test(`pinned messages are above the room, and each press leads to the next older one, ${size}`, async () => {
    const { id } = await server.group(`House ${size}`, alice, bob)
    await post(bob, id, 'The code is 1234')
    await server.says(
      bob,
      id,
      Array.from({ length: 40 }, (_, n) => `Line ${n}\nand more`),
    )
    await post(bob, id, 'Call **Tom** first')
    const page = await open(server, alice, options)
    await enter(page, `House ${size}`)
    await act(page, 'Call Tom first', 'Pin', touch)
    await bar(page).getByText('Bob Reed: Call Tom first').waitFor()
    await bar(page).getByText('Pinned message', { exact: true }).waitFor()
    const { results } = await server.call(bob, 'GET', `messages/?room=${id}&search=code`)
    await server.call(bob, 'PUT', `messages/${results[0].id}/pin/`)
    await bar(page).getByText('Pinned message 2 of 2').waitFor()
    await bar(page).click()
    await page.locator('chat-message[marked]:has-text("The code is 1234")').waitFor()
    await bar(page).getByText('Pinned message 1 of 2').waitFor()
    await bar(page).click()
    await page.locator('chat-message[marked]:has-text("Call Tom first")').waitFor()
    await page.getByRole('button', { name: 'All pinned messages' }).click()
    await page.locator('chat-pin-list .hit:has-text("The code is 1234")').click()
    await page.locator('chat-message[marked]:has-text("The code is 1234")').waitFor()
    await page.getByRole('button', { name: 'All pinned messages' }).click()
    await page.locator('chat-pin-list li:has-text("The code")').getByRole('button', { name: 'Unpin' }).click()
    await page.locator('chat-pin-list li').nth(1).waitFor({ state: 'detached' })
    await page.keyboard.press('Escape')
    await page.locator('chat-pin-list').waitFor({ state: 'detached' })
    await server.call(bob, 'DELETE', `messages/${(await pinned(id))[0].id}/`)
    await bar(page).waitFor({ state: 'detached' })
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`only who may pin is offered to, ${size}`, async () => {
    const { id } = await server.group(`Rules ${size}`, alice, bob)
    await post(alice, id, 'Keep quiet')
    const page = await open(server, bob, options)
    await enter(page, `Rules ${size}`)
    await openActions(page, 'Keep quiet', touch)
    await item(page, 'Pin').waitFor()
    await page.keyboard.press('Escape')
    await server.call(alice, 'PATCH', `rooms/${id}/`, { pinning: 'admins' })
    await page.getByText('The room was changed').waitFor()
    for (let tries = 0; tries < 20; tries++) {
      await openActions(page, 'Keep quiet', touch)
      await item(page, 'Reply').waitFor()
      const isOffered = await item(page, 'Pin').count()
      await page.keyboard.press('Escape')
      await page.locator('chat-actions').waitFor({ state: 'detached' })
      if (!isOffered) break
      assert.ok(tries < 19, 'it is still offered')
    }
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`a message is forwarded to several rooms with a comment, ${size}`, async () => {
    const { id } = await server.group(`From ${size}`, alice, bob, carol)
    const open_ = (await server.group(`Open ${size}`, alice, bob)).id
    const closed = (await server.group(`Closed ${size}`, carol, alice)).id
    await server.call(carol, 'PATCH', `rooms/${closed}/`, { posting: 'admins' })
    await post(bob, id, 'The roof leaks')
    const page = await open(server, alice, options)
    await enter(page, `From ${size}`)
    await act(page, 'The roof leaks', 'Forward', touch)
    const dialog = page.locator('chat-forward')
    const row = name => dialog.locator(`li button:has-text("${name} ${size}")`)
    await dialog.locator('input[type=search]').fill(`closed ${size}`)
    await row('Closed').click()
    await dialog.locator('input[type=search]').fill('')
    await row('Open').click()
    await dialog.locator('#comment').fill('Please call them')
    await dialog.getByRole('button', { name: 'Send (2)' }).click()
    await row('Closed').getByText('Not sent. You are not allowed to do that.').waitFor()
    assert.equal(await row('Closed').getAttribute('aria-pressed'), 'true')
    assert.equal(await row('Open').getAttribute('aria-pressed'), 'false')
    await server.call(carol, 'PATCH', `rooms/${closed}/`, { posting: 'everyone' })
    await dialog.getByRole('button', { name: 'Send' }).click()
    await dialog.waitFor({ state: 'detached' })
    for (const room of [open_, closed]) {
      const { results } = await server.call(alice, 'GET', `messages/?room=${room}`)
      assert.deepEqual(
        results.map(one => one.content),
        ['The roof leaks', 'Please call them'],
      )
    }
    if (touch) await page.locator('chat-conversation header .icon').first().click()
    await enter(page, `Open ${size}`)
    const copy = message(page, 'The roof leaks')
    await copy.locator('chat-forwarded:has-text("Forwarded from Bob Reed")').waitFor()
    await openActions(page, 'The roof leaks', touch)
    await item(page, 'Delete').waitFor()
    assert.equal(await item(page, 'Edit').count(), 0, 'nobody can edit it')
    await page.keyboard.press('Escape')
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`the earlier texts of a message are shown where the room shows them, ${size}`, async () => {
    const { id } = await server.group(`Edits ${size}`, alice, bob)
    const sent = await post(bob, id, 'At nine')
    await server.call(bob, 'PATCH', `messages/${sent.id}/`, { content: 'At ten' })
    const page = await open(server, alice, options)
    await enter(page, `Edits ${size}`)
    await act(page, 'At ten', 'Edit history', touch)
    const texts = page.locator('chat-versions .text')
    await texts.nth(1).waitFor()
    assert.deepEqual(await texts.allTextContents(), ['At ten', 'At nine'])
    await page.keyboard.press('Escape')
    await page.locator('chat-versions').waitFor({ state: 'detached' })
    await message(page, 'At ten').getByText('edited').click()
    await texts.nth(1).waitFor()
    await page.keyboard.press('Escape')
    await server.call(alice, 'PATCH', `rooms/${id}/`, { edit_history: false })
    await page.getByText('The room was changed').waitFor()
    await openActions(page, 'At ten', touch)
    await item(page, 'Reply').waitFor()
    assert.equal(await item(page, 'Edit history').count(), 0)
    await page.keyboard.press('Escape')
    await page.locator('chat-actions').waitFor({ state: 'detached' })
    await message(page, 'At ten').getByText('edited').click()
    await page.getByText('This room does not show the earlier texts').waitFor()
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  for (const colorScheme of ['light', 'dark']) {
    test(`pins, forwarding and edits are accessible, ${size}, ${colorScheme}`, async () => {
      const name = `Look ${size} ${colorScheme}`
      const { id } = await server.group(name, alice, bob, carol)
      for (const content of [
        'The key is under the mat, beside the second door on the left',
        'Bins on Monday',
      ]) {
        const { id: one } = await post(bob, id, content)
        await server.call(bob, 'PUT', `messages/${one}/pin/`)
      }
      const sent = await post(carol, id, 'Rent is due')
      await server.call(carol, 'PATCH', `messages/${sent.id}/`, { content: 'Rent is due on Friday' })
      const forward = { message_ids: [sent.id], rooms: [id], client_id: crypto.randomUUID() }
      await server.call(alice, 'POST', 'messages/forward/', forward)
      await server.call(bob, 'POST', 'messages/forward/', { ...forward, client_id: crypto.randomUUID() })
      const page = await open(server, alice, { ...options, colorScheme, reducedMotion: 'reduce' })
      await page.evaluate(SOURCE)
      const shot = view =>
        process.env.SHOTS &&
        page.screenshot({ path: `${process.env.SHOTS}/pins-${view}-${size}-${colorScheme}.png` })
      await enter(page, name)
      await bar(page).waitFor()
      await page.locator('chat-forwarded').nth(1).waitFor()
      const found = [await violations(page, 'room')]
      await shot('room')
      await page.getByRole('button', { name: 'All pinned messages' }).click()
      await page.locator('chat-pin-list .hit').first().waitFor()
      found.push(await violations(page, 'pins'))
      await shot('list')
      await page.keyboard.press('Escape')
      await openActions(page, 'Bins on Monday', touch)
      await item(page, 'Unpin').waitFor()
      found.push(await violations(page, 'menu'))
      await shot('menu')
      await item(page, 'Forward').click()
      await page.locator('chat-forward li button').first().click()
      found.push(await violations(page, 'forward'))
      await shot('forward')
      await page.keyboard.press('Escape')
      await page.locator('chat-forward').waitFor({ state: 'detached' })
      await page.locator('chat-message').getByText('edited', { exact: true }).first().click()
      await page.locator('chat-versions .text').nth(1).waitFor()
      found.push(await violations(page, 'versions'))
      await shot('versions')
      assert.deepEqual(found.flat(), [])
      assert.deepEqual(page.faults, [])
      await page.context().close()
    })
  }
}

/** Returns the pinned messages of a room. */
async function pinned(room) {
  const { results } = await server.call(bob, 'GET', `rooms/${room}/pins/`)
  return results
}
