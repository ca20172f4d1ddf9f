/** What users expect of a chat: the initial focus, the back button, confirmations. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
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
  says,
  tokenOf,
} from './harness.mjs'

const { alice, bob, carol } = PEOPLE
const SIZES = { desk: DESK, phone: PHONE }
let server
let room
let direct

before(async () => {
  server = await new Server().start()
  room = await server.group('Stairwell', alice, bob, carol)
  await server.call(bob, 'POST', 'messages/', { room: room.id, content: 'The lamp is out' })
  const body = { room_type: 'direct', participant_ids: [bob.user_id] }
  direct = await server.call(alice, 'POST', 'rooms/', body)
  await server.call(bob, 'POST', 'messages/', { room: direct.id, content: 'Call me' })
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** Returns the name of the focused element, through all shadow roots. */
function focused(page) {
  return page.evaluate(() => {
    let one = document.activeElement
    while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement
    return one?.localName
  })
}

const hue = locator => locator.evaluate(one => one.style.getPropertyValue('--hue'))

test('the sign-in form has the focus, also after a failure', async () => {
  const page = await open(server, null, DESK)
  await page.locator('chat-sign-in input[name=username]:focus').waitFor()
  await page.keyboard.type('nobody')
  await page.keyboard.press('Tab')
  await page.keyboard.type('wrong')
  await page.keyboard.press('Enter')
  await page.getByText('Wrong username or password.').waitFor()
  await page.locator('chat-sign-in input[name=password]:focus').waitFor()
  await page.context().close()
})

test('opening a room focuses the composer, except on a phone', async () => {
  const desk = await open(server, alice, DESK)
  await enter(desk, 'Stairwell')
  await desk.locator('chat-composer textarea:focus').waitFor()
  await desk.context().close()
  const phone = await open(server, alice, PHONE)
  await enter(phone, 'Stairwell')
  await message(phone, 'The lamp is out').waitFor()
  assert.notEqual(await focused(phone), 'textarea')
  await phone.context().close()
})

for (const [size, options] of Object.entries(SIZES)) {
  test(`"back" closes the panel before it leaves the room, ${size}`, async () => {
    const page = await open(server, alice, options)
    await enter(page, 'Stairwell')
    await page.locator('.who').click()
    await page.locator('chat-panel [role=tab]').first().waitFor()
    await page.goBack()
    await page.locator('chat-panel').waitFor({ state: 'detached' })
    assert.match(page.url(), new RegExp(room.id))
    await page.locator('.who').click()
    await page.locator('chat-panel header .icon').click()
    await page.locator('chat-panel').waitFor({ state: 'detached' })
    await page.goBack()
    await page.waitForURL(/\/chat\/$/)
    await page.locator('chat-room-list:not([inert])').waitFor()
    await page.context().close()
  })

  test(`a room that does not exist is reported, ${size}`, async () => {
    const page = await open(server, alice, options, '/chat/r/00000000-0000-4000-8000-000000000000')
    await page.getByText('Conversation not found').waitFor()
    assert.equal(await page.locator('chat-timeline').count(), 0)
    assert.equal(await page.locator('chat-composer').count(), 0)
    if (size === 'phone') {
      await page.locator('chat-conversation header .icon').click()
      await page.locator('chat-room-list:not([inert])').waitFor()
    }
    await page.context().close()
  })

  test(`settings explain themselves, and archiving has to be confirmed, ${size}`, async () => {
    const group = await server.group(`Attic ${size}`, alice, bob)
    const page = await open(server, alice, options)
    await enter(page, `Attic ${size}`)
    await page.locator('.who').click()
    await page.locator('#panelSettings').click()
    const mute = page.locator('chat-panel .row').first()
    await mute.getByText('No notifications, and not counted as unread.').waitFor()
    await mute.click()
    await mute.getByText('Unmute').waitFor()
    await mute.getByText('Notify you again').waitFor()
    await page.locator('chat-panel .row:has-text("Archive room")').click()
    await page.getByText('Archive this room for everyone?').waitFor()
    await page.locator('chat-panel chat-sheet button:has-text("Cancel")').click()
    assert.equal((await server.call(alice, 'GET', `rooms/${group.id}/`)).is_active, true)
    await page.locator('chat-panel .row:has-text("Archive room")').click()
    await page.locator('chat-panel chat-sheet button.solid').click()
    await page
      .locator('chat-panel .row:has-text("Unarchive")')
      .getByText('Everyone can write again.')
      .waitFor()
    assert.equal((await server.call(alice, 'GET', `rooms/${group.id}/`)).is_active, false)
    await page.context().close()
  })

  test(`a user has one colour and is found once, ${size}`, async () => {
    const page = await open(server, alice, options)
    const row = page.locator('button.room:has-text("Bob Reed")').first()
    const listed = await hue(row.locator('chat-avatar'))
    await enter(page, 'Stairwell')
    assert.equal(await hue(message(page, 'The lamp is out').locator('chat-avatar').first()), listed)
    if (size === 'phone') await page.locator('chat-conversation header .icon').first().click()
    await enter(page, 'Bob Reed')
    assert.equal(await hue(page.locator('chat-conversation header chat-avatar')), listed)
    if (size === 'phone') await page.locator('chat-conversation header .icon').first().click()
    const search = page.locator('chat-room-list input')
    const asked = page.waitForResponse(/users\/\?search=reed/i)
    await search.fill('Reed')
    await asked
    await page.locator('button.room:has-text("Bob Reed")').first().waitFor()
    await page.waitForTimeout(200)
    assert.equal(await page.locator('button.room:has-text("Bob Reed")').count(), 1)
    await page.locator('chat-room-list').getByLabel('Clear').click()
    assert.equal(await search.inputValue(), '')
    await page.locator('button.room:has-text("Stairwell")').waitFor()
    assert.equal(await focused(page), 'input')
    await page.context().close()
  })

  test(`a message has its menu while it is being sent, ${size}`, async () => {
    const touch = size === 'phone'
    const page = await open(server, alice, options)
    await enter(page, 'Stairwell')
    // The menu is loaded while there is a connection.
    await act(page, 'The lamp is out', 'Reply', touch)
    await page.locator('chat-composer').getByLabel('Cancel').click()
    await page.context().setOffline(true)
    await page.locator('chat-conversation .bar').waitFor()
    await says(page, 'Better not')
    await act(page, 'Better not', 'Discard', touch)
    await message(page, 'Better not').waitFor({ state: 'detached' })
    await says(page, `As soon as possible, ${size}`)
    await openActions(page, 'As soon as possible', touch)
    const item = name => page.locator(`chat-actions [role=menuitem]:has-text("${name}")`).first()
    for (const name of ['Reply', 'Edit']) assert.equal(await item(name).isDisabled(), true)
    assert.equal(await item('Copy').isDisabled(), false)
    // Once the message is stored, the same menu offers everything.
    await page.context().setOffline(false)
    await item('Delete').waitFor()
    await item('Reply').click()
    await page.locator('chat-composer .about:has-text("As soon as possible")').waitFor()
    await says(page, 'And quickly')
    await message(page, 'And quickly').locator('.quote:has-text("As soon as possible")').waitFor()
    assert.deepEqual(page.faults, [])
    await page.context().close()
  })

  test(`the list shows who is signed in, ${size}`, async () => {
    const page = await open(server, alice, options)
    await page.getByRole('button', { name: 'Menu, signed in as Alice Stone' }).click()
    await page.locator('chat-room-list .whose').getByText('Alice Stone').waitFor()
    assert.equal(await page.locator('svg path[d=""]').count(), 0, 'each icon is drawn')
    await page.locator('chat-room-list .whose').getByText('@alice').waitFor()
    await page.context().close()
  })
}

test('quotes call the user "You", and the creation of a room has a plain text', async () => {
  const page = await open(server, alice, DESK)
  await enter(page, 'Stairwell')
  await page.getByText('The room was created').waitFor()
  await says(page, 'I bring a bulb')
  await message(page, 'I bring a bulb').locator('.meta svg').first().waitFor()
  const { results } = await server.call(alice, 'GET', `messages/?room=${room.id}&limit=1`)
  await server.call(bob, 'POST', 'messages/', { room: room.id, content: 'Thanks', reply_to: results[0].id })
  assert.equal(await message(page, 'Thanks').locator('.quote b').textContent(), 'You')
  await page.context().close()
})

test('the list shows the caption of an image', async () => {
  const form = new FormData()
  form.append('room', direct.id)
  form.append('content', 'The broken tile')
  const dot =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
  form.append('attachment', new Blob([Buffer.from(dot, 'base64')], { type: 'image/png' }), 'tile.png')
  const headers = { Authorization: `Bearer ${tokenOf(bob)}` }
  const answer = await fetch(`${server.url}/api/chat/messages/`, { method: 'POST', headers, body: form })
  assert.equal(answer.status, 201)
  const page = await open(server, alice, PHONE)
  await page.locator('button.room:has-text("Bob Reed")').getByText('The broken tile').waitFor()
  await page.context().close()
})

test('a picker opens above its button, from either side', async () => {
  // A finger and a wide window: a tablet.
  const page = await open(server, alice, { ...PHONE, viewport: { width: 1024, height: 768 } })
  await enter(page, 'Stairwell')
  for (const dir of ['ltr', 'rtl']) {
    await page.evaluate(dir => {
      document.documentElement.dir = dir
    }, dir)
    const button = await page.locator('chat-composer').getByLabel('Attach a file').boundingBox()
    await page.locator('chat-composer').getByLabel('Attach a file').click()
    await page.locator('chat-attach [role=menuitem]').first().waitFor()
    const menu = await page.locator('chat-attach dialog').boundingBox()
    const edge = dir === 'ltr' ? menu.x - button.x : menu.x + menu.width - button.x - button.width
    assert.ok(Math.abs(edge) < 12, `${dir}: ${edge} px beside its button`)
    assert.ok(menu.y + menu.height <= button.y + 1, `${dir}: over its button`)
    await page.keyboard.press('Escape')
    await page.locator('chat-attach').waitFor({ state: 'detached' })
  }
  await page.context().close()
})
