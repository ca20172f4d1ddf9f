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
  PEOPLE,
  PHONE,
  Server,
  violations,
} from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
let server
let gate

before(async () => {
  server = await new Server().start()
  for (const user of [alice, bob, carol]) await server.call(user, 'GET', 'users/me/')
  gate = (await server.group('Gate', alice, bob)).id
  await server.group('Garden', alice, bob)
  const direct = { room_type: 'direct', participant_ids: [bob.user_id] }
  await server.call(alice, 'POST', 'rooms/', direct)
  await server.says(bob, gate, ['The gate is open', 'Still open'])
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const names = page => page.locator('button.room .name .cut').allTextContents()
const row = (page, name) => page.locator(`chat-room-list button.room:has-text("${name}")`).first()
const item = (page, text) => page.locator(`chat-row-menu [role=menuitem]:has-text("${text}")`)

/** Selects an item of a row's menu, by the key that opens menus. */
async function choose(page, name, ...texts) {
  await row(page, name).dispatchEvent('contextmenu', { button: 0 })
  for (const text of texts) await item(page, text).click()
  await page.locator('chat-row-menu').waitFor({ state: 'detached' })
}

test('the list shows all, unread or direct conversations', async () => {
  const page = await open(server, alice, DESK)
  await row(page, 'Gate').waitFor()
  const icons = await page
    .locator('chat-room-list svg path')
    .evaluateAll(all => all.map(one => one.getAttribute('d')))
  assert.ok(icons.length > 1 && icons.every(Boolean), 'each icon is drawn')
  const filter = page.locator('.filters button')
  assert.deepEqual(await filter.allTextContents(), ['All', 'Unread', 'People'])
  await filter.getByText('Unread').click()
  await row(page, 'Garden').waitFor({ state: 'detached' })
  assert.deepEqual(await names(page), ['Gate'])
  await filter.getByText('People').click()
  await row(page, 'Gate').waitFor({ state: 'detached' })
  assert.deepEqual(await names(page), ['Bob Reed'])
  await filter.getByText('All').click()
  await row(page, 'Gate').waitFor()
  await page.context().close()
})

test('a row is made a favourite, and stays on top', async () => {
  const page = await open(server, alice, DESK)
  await row(page, 'Garden').waitFor()
  await choose(page, 'Garden', 'Add to favourites')
  await page.locator('button.room:has-text("Garden"):has-text("favourite")').waitFor()
  await server.says(bob, gate, ['And now closed'])
  await row(page, 'Gate').getByText('And now closed').waitFor()
  assert.equal((await names(page))[0], 'Garden')
  await choose(page, 'Garden', 'Remove from favourites')
  await page.waitForFunction(() => {
    const list = document.querySelector('chat-app').shadowRoot.querySelector('chat-room-list').shadowRoot
    return list.querySelector('button.room .name .cut').textContent === 'Gate'
  })
  await page.context().close()
})

test('a row is muted for a time, and unmuted', async () => {
  const page = await open(server, alice, PHONE)
  await choose(page, 'Gate', 'Mute', 'For an hour')
  await page.locator('button.room.quiet:has-text("Gate")').waitFor()
  const { results } = await server.call(alice, 'GET', `participants/?room=${gate}&user=${alice.user_id}`)
  const until = Date.parse(results[0].muted_until) - Date.now()
  assert.ok(until > 3_500_000 && until <= 3_600_000, String(until))
  await choose(page, 'Gate', 'Unmute')
  await page.locator('button.room.unread:has-text("Gate")').waitFor()
  await page.context().close()
})

test('a room is marked as read and unread, and reading it ends that', async () => {
  const page = await open(server, alice, DESK)
  await choose(page, 'Gate', 'Mark as read')
  await page.locator('button.room:not(.unread):has-text("Gate")').waitFor()
  await choose(page, 'Gate', 'Mark as unread')
  await page.locator('button.room.unread:has-text("Gate") .count:has-text("1")').waitFor()
  await enter(page, 'Gate')
  await message(page, 'And now closed').waitFor()
  await page.locator('button.room:not(.unread):has-text("Gate")').waitFor()
  await server.says(bob, gate, ['Open again'])
  await enter(page, 'Garden')
  await server.says(bob, gate, ['Really'])
  await page.locator('button.room.unread:has-text("Gate")').waitFor()
  await page.locator('chat-room-list header .me').click()
  await page.locator('chat-room-list [role=menuitem]:has-text("Mark all as read")').click()
  await page.locator('button.room.unread').first().waitFor({ state: 'detached' })
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('a message is saved, found again and removed, and one is marked as unread from its menu', async () => {
  const page = await open(server, alice, DESK)
  await enter(page, 'Gate')
  await act(page, 'Still open', 'Save for later')
  await act(page, 'And now closed', 'Mark as unread')
  await page.locator('button.room.unread:has-text("Gate")').waitFor()
  await enter(page, 'Garden')
  const openSaved = async () => {
    await page.locator('chat-room-list header .me').click()
    await page.locator('chat-room-list [role=menuitem]:has-text("Saved messages")').click()
  }
  await openSaved()
  await page.locator('chat-saved .hit:has-text("Still open")').click()
  await page.locator('chat-conversation h2:has-text("Gate")').waitFor()
  await page.locator('chat-message[marked]:has-text("Still open")').waitFor()
  await page.locator('chat-saved').waitFor({ state: 'detached' })
  await openSaved()
  await page.getByLabel('Remove from saved messages').click()
  await page.getByText('Nothing saved yet').waitFor()
  await page.evaluate(SOURCE)
  assert.deepEqual(await violations(page, 'saved'), [])
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('the quick switcher finds rooms and people by the keyboard alone', async () => {
  const page = await open(server, alice, DESK)
  await row(page, 'Gate').waitFor()
  await page.keyboard.press('Control+k')
  await page.locator('chat-switcher input:focus').waitFor()
  await page.keyboard.type('gard')
  await page.locator('chat-switcher li:has-text("Garden")').waitFor()
  await page.keyboard.press('Enter')
  await page.locator('chat-conversation h2:has-text("Garden")').waitFor()
  await page.locator('chat-switcher').waitFor({ state: 'detached' })
  await page.keyboard.press('Control+k')
  await page.keyboard.type('g')
  await page.locator('chat-switcher li').nth(1).waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('ArrowUp')
  await page.locator('chat-switcher input:focus').waitFor()
  await page.locator('chat-switcher input').fill('carol')
  await page.locator('chat-switcher li:has-text("Carol Marsh")').waitFor()
  await page.keyboard.press('Enter')
  await page.locator('chat-conversation h2:has-text("Carol Marsh")').waitFor()
  await page.keyboard.press('Control+k')
  await page.locator('chat-switcher input:focus').waitFor()
  await page.keyboard.press('Escape')
  await page.locator('chat-switcher').waitFor({ state: 'detached' })
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

for (const [size, options] of Object.entries({ desk: DESK, phone: PHONE })) {
  for (const colorScheme of ['light', 'dark']) {
    test(`filters, row menu and switcher are accessible, ${size}, ${colorScheme}`, async () => {
      const page = await open(server, alice, { ...options, colorScheme, reducedMotion: 'reduce' })
      const shot = name =>
        process.env.SHOTS &&
        page.screenshot({ path: `${process.env.SHOTS}/${name}-${size}-${colorScheme}.png` })
      await page.evaluate(SOURCE)
      await row(page, 'Gate').waitFor()
      const found = [await violations(page, 'filters')]
      await page.locator('.filters button:has-text("Unread")').click()
      found.push(await violations(page, 'filtered'))
      await shot('filtered')
      await page.locator('.filters button:has-text("All")').click()
      await row(page, 'Gate').dispatchEvent('contextmenu', { button: 0 })
      await item(page, 'Mute').waitFor()
      found.push(await violations(page, 'row menu'))
      await shot('row-menu')
      await item(page, 'Mute').click()
      await item(page, 'For an hour').waitFor()
      found.push(await violations(page, 'mute until'))
      await page.keyboard.press('Escape')
      await page.locator('chat-row-menu').waitFor({ state: 'detached' })
      await row(page, 'Gate').focus()
      await page.keyboard.press('Control+k')
      await page.locator('chat-switcher li').first().waitFor()
      found.push(await violations(page, 'switcher'))
      await shot('switcher')
      assert.deepEqual(found.flat(), [])
      assert.deepEqual(page.faults, [])
      await page.context().close()
    })
  }
}
