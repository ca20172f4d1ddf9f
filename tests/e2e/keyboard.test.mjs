import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, enter, message, open, PEOPLE, Server } from './harness.mjs'

const { alice, bob } = PEOPLE
let server
let desk

before(async () => {
  server = await new Server().start()
  const { id: room } = await server.group('Kitchen', alice, bob)
  await server.group('Bathroom', alice, bob)
  for (const content of ['First', 'Second', 'Third']) {
    await server.call(alice, 'POST', 'messages/', { room, content })
  }
  desk = await open(server, alice, DESK)
  await desk.locator('button.room').nth(1).waitFor()
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** Returns the label or the text of the focused element, through all shadow roots. */
function focus() {
  return desk.evaluate(() => {
    let one = document.activeElement
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement
    const words = one?.localName === 'chat-message' ? one.shadowRoot.textContent : one?.textContent
    return `${one?.getAttribute('aria-label') || words || one?.localName}`.replace(/\s+/g, ' ').trim()
  })
}

test('"/" focuses the search, arrows select a room, Enter opens it', async () => {
  await desk.keyboard.press('/')
  assert.equal(await focus(), 'Search')
  await desk.keyboard.type('o')
  await desk.locator('button.room').nth(1).waitFor()
  await desk.keyboard.press('Escape')
  assert.equal(await desk.locator('chat-room-list input').inputValue(), '')
  await desk.keyboard.press('ArrowDown')
  const [top] = await desk.locator('button.room .name .cut').allTextContents()
  assert.match(await focus(), new RegExp(top))
  await desk.keyboard.press('ArrowDown')
  const [, second] = await desk.locator('button.room .name .cut').allTextContents()
  assert.match(await focus(), new RegExp(second))
  await desk.keyboard.press('Enter')
  await desk.locator(`chat-conversation h2:has-text("${second}")`).waitFor()
})

test('Tab moves through the regions, arrows through the messages', async () => {
  await enter(desk, 'Kitchen')
  await message(desk, 'Third').waitFor()
  await desk.locator('header .who').focus()
  const stops = []
  for (let n = 0; n < 5; n++) {
    await desk.keyboard.press('Tab')
    stops.push(await focus())
  }
  assert.equal(stops[0], 'Search in this room')
  assert.match(stops[1], /Third/)
  assert.deepEqual(stops.slice(2), ['Attach a file', 'Message', 'Emoji'])
  await message(desk, 'Third').focus()
  await desk.keyboard.press('ArrowUp')
  await desk.keyboard.press('ArrowUp')
  assert.match(await focus(), /First/)
  await desk.keyboard.press('ArrowDown')
  assert.match(await focus(), /Second/)
})

test('Enter opens the actions, arrows select one, Escape restores the focus', async () => {
  await message(desk, 'Second').focus()
  await desk.keyboard.press('Enter')
  await desk.locator('chat-actions [role=menuitem]').first().waitFor()
  assert.equal(await focus(), 'Reply')
  await desk.keyboard.press('ArrowUp')
  assert.equal(await focus(), 'Delete')
  await desk.keyboard.press('Enter')
  await desk.getByText('Delete this message for everyone?').waitFor()
  await desk.keyboard.press('Escape')
  await desk.locator('chat-actions').waitFor({ state: 'detached' })
  assert.match(await focus(), /Second/)
  await desk.keyboard.press('Enter')
  await desk.locator('chat-actions [role=menuitem]').first().waitFor()
  await desk.keyboard.press('Enter')
  await desk.locator('chat-composer .about:has-text("Second")').waitFor()
  assert.equal(await focus(), 'Message')
  await desk.keyboard.press('Escape')
  await desk.locator('chat-composer .about').waitFor({ state: 'detached' })
})

test('keys belong to the menu that is open, also while nothing has the focus', async () => {
  const page = await open(server, alice, { ...DESK, viewport: { width: 600, height: 800 } })
  await enter(page, 'Kitchen')
  await message(page, 'Second')
    .locator('.bubble')
    .click({ button: 'right', position: { x: 8, y: 8 } })
  await page.locator('chat-actions [role=menuitem]').first().waitFor()
  await page.evaluate(() => {
    let one = document.activeElement
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement
    one.blur()
  })
  await page.keyboard.press('/')
  await page.keyboard.press('Control+k')
  assert.equal(await page.locator('chat-switcher').count(), 0)
  await page.keyboard.press('Escape')
  await page.locator('chat-actions').waitFor({ state: 'detached' })
  assert.match(page.url(), /\/chat\/r\//, 'the room stays')
  await page.evaluate(() => document.activeElement.blur())
  await page.keyboard.press('Escape')
  await page.waitForURL(`${server.url}/chat/`)
  assert.deepEqual(page.faults, [])
  await page.context().close()
})

test('Escape closes the panel, and arrows switch its tabs', async () => {
  await desk.locator('header .who').press('Enter')
  await desk.locator('chat-panel [role=tab]:has-text("People")').focus()
  await desk.keyboard.press('ArrowRight')
  assert.equal(await focus(), 'Files')
  await desk.keyboard.press('ArrowRight')
  assert.equal(await focus(), 'Settings')
  await desk.locator('chat-panel').getByText('Archive room').waitFor()
  await desk.keyboard.press('Escape')
  await desk.locator('chat-panel').waitFor({ state: 'detached' })
  assert.equal(await focus(), 'Message')
  assert.deepEqual(desk.faults, [])
})
