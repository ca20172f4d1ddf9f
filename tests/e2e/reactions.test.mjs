/** Reactions: adding and removing them by every way, and what others see of them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import {
  AXE,
  act,
  closeBrowser,
  DESK,
  enter,
  host,
  message,
  open,
  openActions,
  PEOPLE,
  PHONE,
  Server,
  still,
  tokenOf,
  violations,
} from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const SOURCE = readFileSync(AXE, 'utf8')
let server
let room
let desk
let phone

before(async () => {
  server = await new Server().start()
  room = (await server.group('Lobby', alice, bob, carol)).id
  for (const content of ['The lift works again', 'The key is at the desk', 'Paint the door']) {
    await server.call(bob, 'POST', 'messages/', { room, content })
  }
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
  await enter(desk, 'Lobby')
  await enter(phone, 'Lobby')
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const chip = (page, text, emoji) => message(page, text).locator(`chat-reactions button:has-text("${emoji}")`)

/** Waits until a message has this many reactions with an emoji. */
async function counts(page, text, emoji, count) {
  await chip(page, text, emoji)
    .filter({ hasText: String(count) })
    .waitFor()
}

test('the bar beside a message under the pointer adds a reaction, which others see', async () => {
  await message(desk, 'The lift works').locator('.bubble').hover()
  // The first movement loads the bar.
  await desk.waitForFunction(() => customElements.get('chat-quick-reactions'))
  await message(desk, 'The lift works')
    .locator('.bubble')
    .hover({ position: { x: 20, y: 10 } })
  const bar = desk.locator('chat-quick-reactions[floating]')
  await bar.waitFor()
  const bubble = await message(desk, 'The lift works').locator('.bubble').boundingBox()
  const box = await bar.boundingBox()
  assert.ok(box.x >= bubble.x + bubble.width, 'it covers no text')
  await bar.locator('button').first().click()
  await counts(desk, 'The lift works', '👍', 1)
  assert.equal(await chip(desk, 'The lift works', '👍').getAttribute('aria-pressed'), 'true')
  await counts(phone, 'The lift works', '👍', 1)
  assert.equal(await chip(phone, 'The lift works', '👍').getAttribute('aria-pressed'), 'false')
})

test('a tap on a reaction joins it, another one leaves it', async () => {
  await chip(phone, 'The lift works', '👍').tap()
  await counts(phone, 'The lift works', '👍', 2)
  await counts(desk, 'The lift works', '👍', 2)
  await chip(phone, 'The lift works', '👍').tap()
  await counts(desk, 'The lift works', '👍', 1)
  await chip(desk, 'The lift works', '👍').click()
  await message(desk, 'The lift works').locator('chat-reactions').waitFor({ state: 'detached' })
  await message(phone, 'The lift works').locator('chat-reactions').waitFor({ state: 'detached' })
})

test('a long press offers the emoji used last', async () => {
  await openActions(phone, 'The key is', true)
  const quick = phone.locator('chat-actions chat-quick-reactions button')
  assert.equal(await quick.count(), 7)
  await still(phone.locator('chat-actions .handle'))
  for (const box of await quick.evaluateAll(all => all.map(one => one.getBoundingClientRect().toJSON())))
    assert.ok(box.width >= 44 && box.height >= 44, JSON.stringify(box))
  await quick.nth(1).tap()
  await phone.locator('chat-actions').waitFor({ state: 'detached' })
  await counts(desk, 'The key is', '❤️', 1)
  await openActions(phone, 'The key is', true)
  assert.equal(await quick.first().textContent(), '❤️')
  assert.equal(await quick.first().getAttribute('aria-pressed'), 'true')
  await phone.keyboard.press('Escape')
})

test('the keyboard reaches reactions and the picker, and what it chooses is offered next time', async () => {
  await message(desk, 'The key is').focus()
  await desk.keyboard.press('Enter')
  await desk.locator('chat-actions [role=menuitem]:focus').waitFor()
  await desk.keyboard.press('Shift+Tab')
  await desk.locator('chat-quick-reactions button:focus[aria-label="More emoji"]').waitFor()
  await desk.keyboard.press('ArrowLeft')
  await desk.keyboard.press('ArrowRight')
  await desk.keyboard.press('Enter')
  await desk.locator('chat-emoji section button').first().waitFor()
  await desk.locator('chat-emoji input').fill('rocket')
  await desk.locator('chat-emoji .grid button[aria-label="rocket"]').waitFor()
  await desk.keyboard.press('ArrowDown')
  while (!(await desk.locator('chat-emoji button[aria-label="rocket"]:focus').count()))
    await desk.keyboard.press('ArrowRight')
  await desk.keyboard.press('Enter')
  await counts(phone, 'The key is', '🚀', 1)
  await desk.locator('chat-message:focus:has-text("The key is")').waitFor()
  await desk.keyboard.press('Enter')
  await desk.locator('chat-actions chat-quick-reactions button').first().waitFor()
  assert.equal(await desk.locator('chat-actions chat-quick-reactions button').first().textContent(), '🚀')
  await desk.keyboard.press('Escape')
})

test('the picker has groups, skin tones and arrow keys', async () => {
  await desk.locator('chat-composer .smile').click()
  const grid = desk.locator('chat-emoji .grid')
  await grid.locator('section#group8 button').first().waitFor({ state: 'attached' })
  assert.equal(await grid.locator('section#recent button').first().textContent(), '🚀')
  await desk.locator('chat-emoji .sections').getByLabel('People').click()
  const top = section =>
    grid.evaluate(
      (one, id) => one.querySelector(id).getBoundingClientRect().top - one.getBoundingClientRect().top,
      section,
    )
  await desk.waitForTimeout(100)
  assert.ok(Math.abs(await top('#group1')) < 12, `${await top('#group1')} px from the top`)
  await desk.locator('chat-emoji .tone').click()
  await desk.locator('chat-emoji [role=radio]').nth(3).click()
  await desk.locator('chat-emoji .tone:has-text("✋🏽")').waitFor()
  await desk.locator('chat-emoji input').fill('thumbs up')
  await grid.locator('button:has-text("👍🏽")').waitFor()
  await desk.keyboard.press('ArrowDown')
  await grid.locator('button:focus').waitFor()
  await desk.keyboard.press('ArrowUp')
  await desk.locator('chat-emoji input:focus').waitFor()
  await desk.locator('chat-emoji input').fill('zzzz')
  await desk.locator('chat-emoji').getByText('Nothing found').waitFor()
  await desk.locator('chat-emoji input').fill('')
  await grid.locator('section#group0 button').first().click()
  assert.notEqual(await desk.locator('chat-composer textarea').inputValue(), '')
  await desk.locator('chat-composer textarea').fill('')
})

for (const [size, page, touch] of [
  ['desk', () => desk, false],
  ['phone', () => phone, true],
]) {
  test(`the menu leads to who has reacted, and own reactions can be removed there, ${size}`, async () => {
    const view = page()
    const me = size === 'desk' ? alice : bob
    await server.call(carol, 'PUT', `messages/${await idOf('Paint the door')}/reactions/✅/`)
    await server.call(me, 'PUT', `messages/${await idOf('Paint the door')}/reactions/✅/`)
    await chip(view, 'Paint the door', '✅').and(view.locator('[aria-pressed=true]')).waitFor()
    await act(view, 'Paint the door', 'Who reacted', touch)
    const list = view.locator('chat-reactors li')
    await list.filter({ hasText: 'Carol Marsh' }).waitFor()
    await view.evaluate(SOURCE)
    assert.deepEqual(await violations(view, 'who reacted'), [])
    await list.filter({ hasText: 'You' }).getByRole('button', { name: 'Remove ✅' }).click()
    await list.filter({ hasText: 'You' }).waitFor({ state: 'detached' })
    await view.keyboard.press('Escape')
    await chip(view, 'Paint the door', '✅').and(view.locator('[aria-pressed=false]')).waitFor()
  })
}

/** Returns the id of a message. */
async function idOf(content) {
  const { results } = await server.call(alice, 'GET', `messages/?room=${room}&page_size=50`)
  return results.find(one => one.content === content).id
}

test('more emoji than fit are behind a button, and the row never wraps', async () => {
  const id = await idOf('Paint the door')
  for (const emoji of ['👍', '❤️', '😂', '😮', '🙏', '🎉'])
    await server.call(carol, 'PUT', `messages/${id}/reactions/${emoji}/`)
  for (const view of [desk, phone]) {
    const more = message(view, 'Paint the door').getByRole('button', { name: 'All reactions' })
    await more.waitFor()
    const rows = await message(view, 'Paint the door')
      .locator('chat-reactions button')
      .evaluateAll(all => new Set(all.map(one => Math.round(one.getBoundingClientRect().top))).size)
    assert.equal(rows, 1)
    await more.click()
    await view.locator('chat-reactors li').nth(5).waitFor()
    await view.keyboard.press('Escape')
    await view.locator('chat-reactors').waitFor({ state: 'detached' })
  }
})

test('a reaction made offline waits for the connection', async () => {
  await desk.context().setOffline(true)
  await desk.locator('chat-conversation .bar').waitFor()
  await chip(desk, 'Paint the door', '👍').click()
  await counts(desk, 'Paint the door', '👍', 2)
  await counts(phone, 'Paint the door', '👍', 1)
  await desk.context().setOffline(false)
  await counts(phone, 'Paint the door', '👍', 2)
  await counts(desk, 'Paint the door', '👍', 2)
})

test('nothing moves when the reactions of a room are loaded late', async () => {
  const body = `<!doctype html><html lang="en"><title>Lobby</title><style>chat-room { height: 90vh }</style>
    <chat-room room="${room}" token="${tokenOf(carol)}"></chat-room>
    <script type="module" src="${server.url}/chat-room.js"></script></html>`
  const close = await host(server, { '/': { headers: { 'Content-Type': 'text/html' }, body } })
  for (const options of [DESK, PHONE]) {
    const page = await open(server, null, options, null)
    let release = () => {}
    const released = new Promise(done => {
      release = done
    })
    await page.route('**/define-parts-*.js', async route => {
      await released
      await route.continue()
    })
    await page.goto(`${server.foreign}/`)
    await message(page, 'The key is').waitFor()
    await page.locator('chat-foot').first().waitFor({ state: 'attached' })
    const places = () =>
      page
        .locator('chat-message')
        .evaluateAll(all => all.map(one => Math.round(one.getBoundingClientRect().top)))
    const before = await places()
    release()
    await chip(page, 'The key is', '🚀').waitFor()
    assert.deepEqual(await places(), before)
    await page.context().close()
  }
  await close()
})

test('what the server refuses is taken back, and the user learns why', async () => {
  await server.call(alice, 'POST', `rooms/${room}/archive/`)
  await phone.locator('.closed:has-text("This room is archived.")').waitFor()
  await chip(phone, 'The key is', '🚀').tap()
  await phone.getByText('The room is archived.').waitFor()
  await counts(phone, 'The key is', '🚀', 1)
  await openActions(phone, 'The key is', true)
  assert.equal(await phone.locator('chat-actions chat-quick-reactions').count(), 0)
  await phone.keyboard.press('Escape')
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})
