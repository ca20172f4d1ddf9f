import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, enter, message, open, PEOPLE, PHONE, Server, says } from './harness.mjs'

const { alice, bob } = PEOPLE
const OFFLINE = 'You are offline. Messages will be sent when you are back.'
let server
let rooms
let desk
let phone

before(async () => {
  server = await new Server().start()
  rooms = {}
  for (const name of ['Roof', 'Cellar', 'Garage']) {
    rooms[name] = (await server.group(name, alice, bob)).id
    await server.call(bob, 'POST', 'messages/', { room: rooms[name], content: `Last word in the ${name}` })
  }
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** Waits until the device has cached the rooms and the page. */
async function cached(page, user, ids) {
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}))
  await page.evaluate(
    async ({ user, ids }) => {
      const opened = indexedDB.open(`chat cache ${location.origin} ${user}`)
      await new Promise(done => opened.addEventListener('success', done))
      for (let tries = 0; tries < 300; tries++) {
        const rooms = opened.result.transaction(['rooms', 'list'])
        const all = rooms.objectStore('rooms').getAllKeys()
        const list = rooms.objectStore('list').getAllKeys()
        await new Promise(done => rooms.addEventListener('complete', done))
        if (list.result.length === 1 && ids.every(id => all.result.includes(id))) break
        await new Promise(done => setTimeout(done, 100))
      }
      opened.result.close()
    },
    { user: user.user_id, ids },
  )
}

const bar = page => page.locator('chat-conversation .bar')

for (const [name, width] of [
  ['desk', () => desk],
  ['phone', () => phone],
]) {
  test(`${name}: the device's own offline and online reports take effect immediately`, async () => {
    const page = width()
    await enter(page, 'Roof')
    await message(page, 'Last word in the Roof').waitFor()
    await page.context().setOffline(true)
    // Without the report a dead connection is detected by its silence, which takes far longer.
    await bar(page).getByText(OFFLINE).waitFor({ timeout: 10_000 })
    await page.context().setOffline(false)
    await bar(page).waitFor({ state: 'detached' })
    await says(page, `From the ${name}`)
    await message(page, `From the ${name}`).locator('.meta svg').waitFor()
  })
}

test('without a server the list and all prefetched rooms are available, also after a reload', async () => {
  await cached(desk, alice, Object.values(rooms))
  await cached(phone, bob, Object.values(rooms))
  await server.kill()
  await enter(desk, 'Cellar')
  await message(desk, 'Last word in the Cellar').waitFor()
  await enter(desk, 'Roof')
  await message(desk, 'Last word in the Roof').waitFor()
  await desk.reload()
  await message(desk, 'Last word in the Roof').waitFor()
  await enter(desk, 'Garage')
  await message(desk, 'Last word in the Garage').waitFor()
  await phone.reload()
  await message(phone, 'Last word in the Roof').waitFor()
  await phone.locator('chat-conversation header .icon').first().tap()
  await enter(phone, 'Garage')
  await message(phone, 'Last word in the Garage').waitFor()
  await says(phone, 'Written in the dark')
  await phone.locator('chat-message:has-text("Written in the dark"):has-text("Waiting to be sent")').waitFor()
  await bar(phone).waitFor()
})

test(`after the server's return everything resumes, and the line "New" shows what was missed`, async () => {
  await server.start()
  await message(desk, 'Written in the dark').waitFor()
  await message(phone, 'Written in the dark').locator('.meta:not(:has-text("Waiting"))').waitFor()
  await bar(desk).waitFor({ state: 'detached' })
  await enter(desk, 'Roof')
  await server.says(bob, rooms.Cellar, ['While you were elsewhere'])
  await enter(desk, 'Cellar')
  await message(desk, 'While you were elsewhere').waitFor()
  await desk.locator('chat-timeline .new').waitFor()
})

test('a room that is not cached shows an error instead of a skeleton', async () => {
  const { id } = await server.group('Attic', alice, bob)
  await desk.locator('button.room:has-text("Attic")').waitFor()
  await server.kill()
  await desk.locator('button.room:has-text("Attic")').click()
  const empty = desk.locator('chat-timeline .empty:has-text("There is no connection.")')
  await empty.getByText('Trying again…').waitFor()
  await server.start()
  await server.call(bob, 'POST', 'messages/', { room: id, content: 'Here it is' })
  await message(desk, 'Here it is').waitFor()
})

test('signing out erases the cache in all tabs', async () => {
  const other = await desk.context().newPage()
  await other.goto(`${server.url}/chat/`)
  await other.locator('button.room').first().waitFor()
  await desk.locator('chat-room-list header .me').click()
  await desk.locator('[role=menuitem]:has-text("Sign out")').click()
  await desk.locator('chat-sign-in input').first().waitFor()
  await other.locator('chat-sign-in input').first().waitFor()
  const left = await desk.evaluate(async user => {
    const opened = indexedDB.open(`chat cache ${location.origin} ${user}`)
    await new Promise(done => opened.addEventListener('success', done))
    const all = opened.result.transaction(['rooms', 'list'])
    const counts = ['rooms', 'list'].map(name => all.objectStore(name).count())
    await new Promise(done => all.addEventListener('complete', done))
    return counts.map(count => count.result)
  }, alice.user_id)
  assert.deepEqual(left, [0, 0])
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})
