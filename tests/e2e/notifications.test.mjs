/** Notifications of the system while the page is open, and without pushes: what the server tells, the page shows. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, message, open, PEOPLE, Server } from './harness.mjs'

const { alice, bob } = PEOPLE
let server
let desk
let loud
let quiet

before(async () => {
  server = await new Server().start()
  loud = await server.group('Night shift', alice, bob)
  quiet = await server.group('Small talk', alice, bob)
  await server.call(alice, 'PUT', 'notifications/settings/', { delay_seconds: 0 })
  const { results } = await server.call(alice, 'GET', `participants/?room=${quiet.id}&user=${alice.user_id}`)
  await server.call(alice, 'POST', `participants/${results[0].id}/mute/`, { muted: true })
  desk = await open(server, alice, DESK)
  await desk.locator('button.room.quiet:has-text("Small talk")').waitFor()
  await desk.evaluate(() => {
    window.notices = []
    window.Notification = class {
      static permission = 'granted'
      constructor(title, { body }) {
        window.notices.push({ title, body })
        window.notice = this
      }
      close() {}
    }
    window.worker = undefined
    Object.defineProperty(navigator, 'serviceWorker', {
      configurable: true,
      value: Object.assign(new EventTarget(), { getRegistration: async () => window.worker }),
    })
  })
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** Sets whether the page is visible. */
async function look(state) {
  await desk.evaluate(value => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value })
    document.dispatchEvent(new Event('visibilitychange'))
  }, state)
}

test('a hidden page notifies and names the sender, except in muted rooms', async () => {
  await look('hidden')
  await server.call(bob, 'POST', 'messages/', { room: quiet.id, content: 'Did you see the match?' })
  await server.call(bob, 'POST', 'messages/', { room: loud.id, content: 'The alarm went off' })
  await desk.waitForFunction(() => window.notices.length > 0)
  await desk.waitForFunction(() => document.title.startsWith('(1)'))
  assert.deepEqual(await desk.evaluate(() => window.notices), [
    { title: 'Night shift', body: 'Bob Reed: The alarm went off' },
  ])
  assert.match(await desk.locator('link[rel=icon]').getAttribute('href'), /icon-unread\.svg$/)
})

test('a notification leads to its message', async () => {
  await look('visible')
  await desk.evaluate(() => window.notice.onclick())
  await message(desk, 'The alarm went off').waitFor()
  await desk.locator('chat-message[marked]:has-text("The alarm went off")').waitFor()
  await desk.waitForFunction(() => !document.title.startsWith('('))
  assert.match(await desk.locator('link[rel=icon]').getAttribute('href'), /icon\.svg$/)
})

test('a visible page does not notify', async () => {
  const { id } = await server.group('Day shift', alice, bob)
  await server.call(bob, 'POST', 'messages/', { room: id, content: 'False alarm' })
  await desk.locator('chat-bell .count:has-text("1")').waitFor()
  assert.equal(await desk.evaluate(() => window.notices.length), 1)
  await server.call(alice, 'POST', `rooms/${id}/mark_read/`)
  await desk.locator('chat-bell .count').waitFor({ state: 'detached' })
  assert.deepEqual(desk.faults, [])
})

test('a direct room names nobody twice', async () => {
  const body = { room_type: 'direct', participant_ids: [bob.user_id] }
  const direct = await server.call(alice, 'POST', 'rooms/', body)
  await desk.locator('button.room:has-text("Bob Reed")').waitFor()
  await look('hidden')
  await server.call(bob, 'POST', 'messages/', { room: direct.id, content: 'Are you awake?' })
  await desk.waitForFunction(() => window.notices.length > 1)
  assert.deepEqual(await desk.evaluate(() => window.notices.at(-1)), {
    title: 'Bob Reed',
    body: 'Are you awake?',
  })
})

test('the service worker shows it where there is one, and is told once it is read', async () => {
  await desk.evaluate(() => {
    window.asked = []
    window.worker = { active: { postMessage: message => window.asked.push(message) } }
  })
  await server.call(bob, 'POST', 'messages/', { room: loud.id, content: 'Two' })
  await desk.waitForFunction(() => window.asked.some(one => one.body === 'Bob Reed: Two'))
  const shown = await desk.evaluate(() => window.asked.find(one => one.body === 'Bob Reed: Two'))
  assert.deepEqual([shown.type, shown.title, shown.room_id], ['notification', 'Night shift', loud.id])
  await server.call(alice, 'POST', `rooms/${loud.id}/mark_read/`)
  await desk.waitForFunction(
    id => window.asked.some(one => one.type === 'notification_gone' && one.ids.includes(id)),
    shown.id,
  )
  assert.deepEqual(desk.faults, [])
})

test('the sound is off until it is turned on', async () => {
  await look('visible')
  await desk.evaluate(() => {
    window.sounds = 0
    window.AudioContext = class {
      currentTime = 0
      constructor() {
        window.sounds++
        throw new Error('no sound here')
      }
    }
  })
  const { id } = await server.group('Evening shift', alice, bob)
  const count = () => desk.locator('chat-bell .count')
  await server.call(bob, 'POST', 'messages/', { room: id, content: 'Silent' })
  await count().filter({ hasText: '2' }).waitFor()
  assert.equal(await desk.evaluate(() => window.sounds), 0)
  await desk.evaluate(() => localStorage.setItem('chat sound', 'on'))
  await server.call(bob, 'POST', 'messages/', {
    room: quiet.id,
    mentions: [alice.user_id],
    content: '@alice!',
  })
  await desk.waitForFunction(() => window.sounds > 0)
  assert.deepEqual(desk.faults, [])
})
