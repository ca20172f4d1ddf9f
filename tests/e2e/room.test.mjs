import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  act,
  closeBrowser,
  DESK,
  enter,
  message,
  open,
  PEOPLE,
  PHONE,
  remove,
  Server,
  says,
} from './harness.mjs'

const { alice, bob, carol } = PEOPLE
let server

before(async () => {
  server = await new Server().start()
  await server.group('Laundry', alice, bob, carol)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

test('a removed participant is informed and receives nothing more', async () => {
  const desk = await open(server, alice, DESK)
  const phone = await open(server, bob, PHONE)
  await enter(desk, 'Laundry')
  await enter(phone, 'Laundry')
  await desk.locator('header .who').click()
  await desk.locator('chat-panel .person:has-text("Bob Reed") .icon').click()
  await desk.locator('[role=menuitem]:has-text("Remove from the room")').click()
  await phone.getByText('You are no longer in this room.').waitFor()
  await says(desk, 'He is gone')
  await message(desk, 'He is gone').waitFor()
  assert.equal(await phone.locator('chat-message:has-text("He is gone")').count(), 0)
  await phone.locator('chat-conversation header .icon').first().tap()
  await phone.locator('chat-room-list:not([inert])').waitFor()
  assert.equal(await phone.locator('button.room:has-text("Laundry")').count(), 0)
  assert.deepEqual([desk.faults, phone.faults], [[], []])
  await desk.context().close()
  await phone.context().close()
})

test('a room is created, renamed, muted, archived and left', async () => {
  const desk = await open(server, alice, DESK)
  await desk.locator('chat-room-list header .icon').first().click()
  for (const name of ['Bob Reed', 'Carol Marsh']) {
    await desk.locator('chat-people-picker input').fill(name)
    await desk.locator(`chat-people-picker .person:has-text("${name}")`).click()
  }
  await desk.locator('chat-new-room input[maxlength]').fill('Roof')
  await desk.locator('chat-new-room .solid').click()
  await desk.locator('chat-conversation h2:has-text("Roof")').waitFor()
  await desk.locator('header .who').click()
  await desk.locator('[role=tab]:has-text("Settings")').click()
  await desk.locator('chat-panel input[name=name]').fill('Roof and gutters')
  await desk.locator('chat-panel button:has-text("Rename")').click()
  await desk.locator('chat-conversation h2:has-text("Roof and gutters")').waitFor()
  await desk.locator('chat-panel button:has-text("Mute")').first().click()
  await desk.locator('button.room.quiet:has-text("Roof and gutters")').waitFor()
  await desk.locator('chat-panel button:has-text("Archive room")').click()
  await desk.locator('chat-panel chat-sheet button.solid').click()
  await desk.locator('chat-conversation .closed').waitFor()
  await desk.locator('chat-conversation .closed button').click()
  await desk.locator('chat-composer textarea').waitFor()
  assert.deepEqual(desk.faults, [])
  await desk.context().close()
})

test('a participant is added, made admin, and manages the room after the first admin has left', async () => {
  await server.group('Pool', alice, bob)
  const desk = await open(server, alice, DESK)
  const phone = await open(server, carol, PHONE)
  await enter(desk, 'Pool')
  await desk.locator('header .who').click()
  await desk.locator('chat-panel .add').click()
  await desk.locator('chat-people-picker input').fill('carol')
  await desk.locator('chat-people-picker .person:has-text("Carol Marsh")').click()
  await enter(phone, 'Pool')
  const person = desk.locator('chat-panel .person:has-text("Carol Marsh")')
  await person.locator('.icon').click()
  await desk.locator('[role=menuitem]:has-text("Make admin")').click()
  await person.getByText('admin').waitFor()
  await desk.locator('[role=tab]:has-text("Settings")').click()
  await desk.locator('chat-panel .row:has-text("Leave room")').click()
  await desk.locator('chat-panel chat-sheet button:has-text("Leave room")').click()
  await desk.getByText('You are no longer in this room.').waitFor()
  await phone.getByText('Alice Stone left').waitFor()
  await phone.locator('header .who').tap()
  await phone.locator('chat-panel .person:has-text("Bob Reed") .icon').tap()
  await phone.locator('[role=menuitem]:has-text("Make admin")').waitFor()
  assert.deepEqual([desk.faults, phone.faults], [[], []])
  await desk.context().close()
  await phone.context().close()
})

test("an admin deletes another user's message, and nobody else can", async () => {
  const { id: room } = await server.group('Notices', alice, bob, carol)
  await server.says(bob, room, ['Buy my car'])
  const desk = await open(server, alice, DESK)
  const phone = await open(server, carol, PHONE)
  await enter(phone, 'Notices')
  await message(phone, 'Buy my car').locator('.more').dispatchEvent('click')
  await phone.locator('chat-actions [role=menuitem]:text-is("Reply")').waitFor()
  assert.equal(await phone.locator('chat-actions [role=menuitem]:has-text("Delete")').count(), 0)
  await phone.keyboard.press('Escape')
  await enter(desk, 'Notices')
  await message(desk, 'Buy my car').locator('.bubble').click({ button: 'right' })
  await desk.locator('chat-actions [role=menuitem]:has-text("Delete")').waitFor()
  assert.equal(await desk.locator('chat-actions [role=menuitem]:has-text("Edit")').count(), 0)
  await desk.keyboard.press('Escape')
  await act(desk, 'Buy my car', 'Delete')
  await desk.getByLabel('Reason').fill('No advertising')
  await desk.keyboard.press('Tab')
  const deleted = desk.waitForRequest(request => request.method() === 'DELETE')
  await desk.locator('chat-actions [role=menuitem]:has-text("Delete")').click()
  assert.deepEqual((await deleted).postDataJSON(), { reason: 'No advertising' })
  for (const page of [desk, phone]) await message(page, 'This message was removed by an admin').waitFor()
  await phone.reload()
  await message(phone, 'This message was removed by an admin').waitFor()
  assert.deepEqual([desk.faults, phone.faults], [[], []])
  await desk.context().close()
  await phone.context().close()
})

test('in a direct room users delete only their own messages', async () => {
  const { id: room } = await server.call(alice, 'POST', 'rooms/', {
    room_type: 'direct',
    participant_ids: [bob.user_id],
  })
  await server.says(bob, room, ['Mine alone'])
  const desk = await open(server, alice, DESK, `/chat/r/${room}`)
  await message(desk, 'Mine alone').locator('.bubble').click({ button: 'right' })
  await desk.locator('chat-actions [role=menuitem]:text-is("Reply")').waitFor()
  assert.equal(await desk.locator('chat-actions [role=menuitem]:has-text("Delete")').count(), 0)
  assert.deepEqual(desk.faults, [])
  await desk.context().close()
})

test('the readers of a message are shown by name', async () => {
  const { id: room } = await server.group('Readers', alice, bob, carol)
  await server.call(alice, 'POST', 'messages/', { room, content: 'Please read' })
  const desk = await open(server, alice, DESK)
  await enter(desk, 'Readers')
  await message(desk, 'Please read').locator('.meta .unseen:text("Sent")').waitFor({ state: 'attached' })
  await server.call(bob, 'POST', `rooms/${room}/mark_read/`)
  await message(desk, 'Please read').locator('.readers:has-text("Read by Bob Reed")').waitFor()
  await server.call(carol, 'POST', `rooms/${room}/mark_read/`)
  await message(desk, 'Please read').locator('.bubble').click({ button: 'right' })
  await desk.locator('chat-actions').getByText('Read by Bob Reed, Carol Marsh').waitFor()
  assert.deepEqual(desk.faults, [])
  await desk.context().close()
})

test('a user is found and written to, and the badge counts', async () => {
  const desk = await open(server, alice, DESK)
  const phone = await open(server, carol, PHONE)
  await phone.locator('chat-room-list').waitFor()
  await desk.locator('chat-room-list input').fill('carol')
  await desk.locator('chat-room-list .room:has-text("@carol")').click()
  await says(desk, 'Hello Carol')
  await phone.locator('button.room.unread:has-text("Alice Stone") .count').waitFor()
  await phone.waitForFunction(() => document.title.startsWith('(2)'))
  await enter(phone, 'Alice Stone')
  await message(phone, 'Hello Carol').waitFor()
  await phone.waitForFunction(() => document.title.startsWith('(1)'))
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})
