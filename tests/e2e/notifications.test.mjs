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

test('a notification leads to its room', async () => {
  await look('visible')
  await desk.evaluate(() => window.notice.onclick())
  await message(desk, 'The alarm went off').waitFor()
  await desk.waitForFunction(() => !document.title.startsWith('('))
  assert.match(await desk.locator('link[rel=icon]').getAttribute('href'), /icon\.svg$/)
})

test('a visible page does not notify', async () => {
  await server.call(bob, 'POST', 'messages/', { room: loud.id, content: 'False alarm' })
  await message(desk, 'False alarm').waitFor()
  assert.equal(await desk.evaluate(() => window.notices.length), 1)
  assert.deepEqual(desk.faults, [])
})

test('a direct room names nobody twice, and calls an image a photo', async () => {
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

test('a service worker shows the notification if only it may, and without one nothing breaks', async () => {
  await desk.evaluate(() => {
    window.shown = []
    window.Notification = class {
      static permission = 'granted'
      constructor() {
        throw new TypeError('Illegal constructor. Use ServiceWorkerRegistration.showNotification() instead.')
      }
    }
    const worker = { showNotification: async (title, options) => window.shown.push({ title, ...options }) }
    window.worker = undefined
    Object.defineProperty(navigator, 'serviceWorker', {
      configurable: true,
      value: { getRegistration: async () => window.worker },
    })
    window.give = () => {
      window.worker = worker
    }
  })
  const count = unread => desk.waitForFunction(start => document.title.startsWith(start), `(${unread})`)
  const before = Number(/^\((\d+)\)/.exec(await desk.title())?.[1] ?? 0)
  await server.call(bob, 'POST', 'messages/', { room: loud.id, content: 'One' })
  await count(before + 1)
  await desk.evaluate(() => window.give())
  await server.call(bob, 'POST', 'messages/', { room: loud.id, content: 'Two' })
  await desk.waitForFunction(() => window.shown.length > 0)
  assert.deepEqual(await desk.evaluate(() => window.shown), [
    { title: 'Night shift', body: 'Bob Reed: Two', tag: loud.id, data: { room: loud.id } },
  ])
  assert.deepEqual(desk.faults, [])
})
