/**
 * Pushes, from the server to a notification of the system and back.
 *
 * The tests' Chromium has no push service, so the browser's subscription is replaced by one at a service that runs here.
 * It decrypts what the server sends and has the DevTools deliver it to the page's own service worker.
 */
import assert from 'node:assert/strict'
import { createDecipheriv, createECDH, hkdfSync, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, open, PEOPLE, Server } from './harness.mjs'

const { alice, bob } = PEOPLE
/** A page of the same origin that is not the chat, so that the chat isn't in view. */
const ELSEWHERE = '/api/docs/'
let server
let service
let page
let devtools
let worker
let room

/** A push service with one browser. */
class PushService {
  #ecdh = createECDH('prime256v1')
  #auth = randomBytes(16)
  #received = []
  #waiting = []

  async start() {
    this.#ecdh.generateKeys()
    this.http = createServer(async (request, response) => {
      const parts = []
      for await (const part of request) parts.push(part)
      this.#received.push(this.#open(Buffer.concat(parts)))
      response.writeHead(201).end()
      this.#waiting.shift()?.()
    })
    await new Promise(done => this.http.listen(0, '127.0.0.1', done))
    return this
  }

  get subscription() {
    return {
      endpoint: `http://127.0.0.1:${this.http.address().port}/push/alice`,
      keys: { p256dh: this.#ecdh.getPublicKey('base64url'), auth: this.#auth.toString('base64url') },
    }
  }

  /** Waits for the next push and returns its text. */
  async next() {
    while (this.#received.length === 0) await new Promise(done => this.#waiting.push(done))
    return this.#received.shift()
  }

  get isIdle() {
    return this.#received.length === 0
  }

  /** Decrypts a push (RFC 8291). */
  #open(body) {
    const salt = body.subarray(0, 16)
    const theirs = body.subarray(21, 86)
    const secret = this.#ecdh.computeSecret(theirs)
    const info = Buffer.concat([Buffer.from('WebPush: info\0'), this.#ecdh.getPublicKey(), theirs])
    const ikm = Buffer.from(hkdfSync('sha256', secret, this.#auth, info, 32))
    const key = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: aes128gcm\0', 16))
    const nonce = Buffer.from(hkdfSync('sha256', ikm, salt, 'Content-Encoding: nonce\0', 12))
    const cipher = createDecipheriv('aes-128-gcm', key, nonce)
    cipher.setAuthTag(body.subarray(-16))
    const text = Buffer.concat([cipher.update(body.subarray(86, -16)), cipher.final()])
    return text.subarray(0, text.lastIndexOf(2)).toString()
  }

  stop() {
    this.http.closeAllConnections()
    return new Promise(done => this.http.close(done))
  }
}

/** Replaces the browser's own subscriptions, which need a service on the Internet. */
function stubPush(subscription) {
  const KEY = 'stub subscription'
  const subscribed = () => {
    const key = localStorage.getItem(KEY)
    if (!key) return null
    const text = atob(key.replaceAll('-', '+').replaceAll('_', '/'))
    return {
      options: { applicationServerKey: Uint8Array.from(text, one => one.charCodeAt(0)).buffer },
      toJSON: () => subscription,
      unsubscribe: async () => {
        localStorage.removeItem(KEY)
        return true
      },
    }
  }
  PushManager.prototype.getSubscription = async () => subscribed()
  PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
    localStorage.setItem(KEY, applicationServerKey)
    return subscribed()
  }
}

before(async () => {
  service = await new PushService().start()
  server = await new Server({ env: { OUTBOUND_ALLOW: '127.0.0.1' } }).start()
  room = (await server.group('Boiler room', alice, bob)).id
  await server.call(alice, 'PUT', 'notifications/settings/', { delay_seconds: 0 })
  page = await open(server, alice, DESK, null)
  await page.context().grantPermissions(['notifications'], { origin: server.url })
  await page.addInitScript(stubPush, service.subscription)
  devtools = await page.context().newCDPSession(page)
})

after(async () => {
  await closeBrowser()
  await server.stop()
  await service.stop()
})

const says = content => server.call(bob, 'POST', 'messages/', { room, content })

/** Returns what the system shows. */
const notices = () =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration('/chat/')
    const all = await registration.getNotifications()
    return all.map(({ title, body, tag, data }) => ({ title, body, tag, seq: data?.seq }))
  })

/** Waits until the system shows a number of notifications, and returns them. */
async function noticesOf(count) {
  for (let tries = 0; tries < 100; tries++) {
    const shown = await notices()
    if (shown.length === count) return shown
    await new Promise(done => setTimeout(done, 100))
  }
  assert.fail(`not ${count} notifications, but ${JSON.stringify(await notices())}`)
}

let registrationId

/** Delivers a push to the service worker. */
async function deliver(data) {
  if (!registrationId) {
    const found = new Promise(done =>
      devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
        const one = registrations.find(({ scopeURL }) => scopeURL === `${server.url}/chat/`)
        if (one) done(one.registrationId)
      }),
    )
    await devtools.send('ServiceWorker.enable')
    registrationId = await found
  }
  await devtools.send('ServiceWorker.deliverPushMessage', { origin: server.url, registrationId, data })
}

/** Dispatches an event in the service worker as the browser would, and waits until it has been handled. */
async function dispatch(type) {
  await worker.evaluate(async type => {
    const event = new Event(type)
    const [notification] = await self.registration.getNotifications()
    let handled = Promise.resolve()
    Object.defineProperty(event, 'notification', { value: notification })
    Object.defineProperty(event, 'waitUntil', {
      value: promise => {
        handled = promise
      },
    })
    self.dispatchEvent(event)
    await handled
  }, type)
}

const openSettings = async () => {
  await page.locator('chat-room-list header .me').click()
  await page.locator('chat-room-list [role=menuitem]:text-is("Notifications")').click()
}

test('pushes are turned on by a click, with the reason shown, and a test shows a notification', async () => {
  await page.goto(`${server.url}/chat/`)
  await page.locator('button.room').first().waitFor()
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}))
  await openSettings()
  const device = page.locator('chat-device-settings')
  await device.getByText('Get a notification here when someone writes to you').waitFor()
  assert.equal(await page.evaluate(() => localStorage.getItem('stub subscription')), null)
  await device.getByText('Turn on').click()
  await device.getByText('also while this page is closed').waitFor()
  await device.getByText('Send me a test').click()
  const [shown] = await noticesOf(1)
  assert.equal(shown.title, 'It works')
  await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration('/chat/')
    for (const one of await registration.getNotifications()) one.close()
  })
  assert.deepEqual(page.faults, [])
})

test('a push shows a notification, and a newer one of its room takes its place', async () => {
  await page.goto(server.url + ELSEWHERE)
  worker = page
    .context()
    .serviceWorkers()
    .find(one => one.url().endsWith('/chat/sw.js'))
  await worker.evaluate(() => {
    self.badges = []
    navigator.setAppBadge = async count => self.badges.push(count)
    navigator.clearAppBadge = async () => self.badges.push(0)
    self.opened = []
    self.clients.openWindow = async path => self.opened.push(path)
  })
  const first = await says('The pressure falls')
  await deliver(await service.next())
  assert.deepEqual(await noticesOf(1), [
    { title: 'Boiler room', body: 'Bob Reed: The pressure falls', tag: room, seq: first.seq },
  ])
  const second = await says('It is at zero')
  await deliver(await service.next())
  for (let tries = 0; tries < 50 && (await notices())[0]?.seq !== second.seq; tries++)
    await new Promise(done => setTimeout(done, 100))
  assert.deepEqual(await notices(), [
    { title: 'Boiler room', body: 'Bob Reed: It is at zero', tag: room, seq: second.seq },
  ])
  assert.deepEqual(await worker.evaluate(() => self.badges), [1, 2])
})

test('a click opens the page at the message', async () => {
  await dispatch('notificationclick')
  const [opened] = await worker.evaluate(() => self.opened)
  assert.match(opened, new RegExp(`^/chat/r/${room}/\\d+$`))
  await noticesOf(0)
  await page.goto(server.url + opened)
  await page.locator('chat-message[marked]:has-text("It is at zero")').waitFor()
  // And the page was read there, so the server takes back what the browser showed.
  const gone = JSON.parse(await service.next())
  assert.deepEqual([gone.type, gone.badge], ['notification_gone', 0])
})

test('nothing is shown while the page is in view, and a click leads there if it is', async () => {
  await page.goto(`${server.url}/chat/`)
  await page.locator('button.room').first().waitFor()
  const { seq } = await says('It rises again')
  const push = await service.next()
  await deliver(push)
  await page.locator('chat-bell .count:has-text("1")').waitFor()
  assert.deepEqual(await notices(), [])
  await page.goto(server.url + ELSEWHERE)
  await deliver(push)
  await noticesOf(1)
  await page.goto(`${server.url}/chat/`)
  await page.locator('button.room').first().waitFor()
  assert.equal((await noticesOf(1))[0].seq, seq)
  await dispatch('notificationclick')
  await page.locator('chat-message[marked]:has-text("It rises again")').waitFor()
  await noticesOf(0)
  assert.equal(JSON.parse(await service.next()).type, 'notification_gone')
  assert.deepEqual(page.faults, [])
})

test('what is read on another device is closed, by a push or at the next visit', async () => {
  await page.goto(server.url + ELSEWHERE)
  await says('All is well')
  await deliver(await service.next())
  await noticesOf(1)
  await server.call(alice, 'POST', `rooms/${room}/mark_read/`)
  const gone = await service.next()
  await worker.evaluate(() => {
    self.badges = []
  })
  await deliver(gone)
  await noticesOf(0)
  assert.deepEqual(await worker.evaluate(() => self.badges), [0])

  await says('Good night')
  await deliver(await service.next())
  await noticesOf(1)
  await server.call(alice, 'POST', `rooms/${room}/mark_read/`)
  // This one is lost.
  await service.next()
  await page.goto(`${server.url}/chat/`)
  await noticesOf(0)
})

test('a subscription that the browser has changed is told to the server', async () => {
  await page.locator('button.room').first().waitFor()
  const told = page.waitForRequest(
    one => one.method() === 'POST' && one.url().endsWith('/push/subscriptions/'),
  )
  await dispatch('pushsubscriptionchange')
  await told
})

test('signing out ends the subscription first', async () => {
  const ended = page.waitForRequest(
    one => one.method() === 'DELETE' && /\/push\/subscriptions\/[0-9a-f-]{36}\/$/.test(one.url()),
  )
  await page.locator('chat-room-list header .me').click()
  await page.locator('[role=menuitem]:has-text("Sign out")').click()
  assert.equal((await (await ended).response()).status(), 204)
  await page.locator('chat-sign-in input').first().waitFor()
  const left = await page.evaluate(() =>
    ['stub subscription', 'chat notifications'].map(key => localStorage.getItem(key)),
  )
  assert.deepEqual(left, [null, null])
  await says('Is anyone there?')
  const { results } = await server.call(alice, 'GET', 'notifications/')
  assert.ok(results.length > 0)
  assert.ok(service.isIdle)
  assert.deepEqual(page.faults, [])
})
