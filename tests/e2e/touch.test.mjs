import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  act,
  closeBrowser,
  drag,
  enter,
  message,
  open,
  PEOPLE,
  PHONE,
  Server,
  says,
  still,
} from './harness.mjs'

const { alice, bob } = PEOPLE
/** Exceeds what a conversation loads first. */
const MESSAGES = 160
let server
let phone

before(async () => {
  server = await new Server().start()
  const { id: room } = await server.group('Garden', alice, bob)
  const leaves = Array.from({ length: MESSAGES }, (_, n) => `Leaf number ${n}`)
  await server.says(bob, room, leaves.slice(0, -1))
  await server.says(bob, room, leaves.slice(-1))
  await server.call(alice, 'POST', `rooms/${room}/mark_read/`)
  phone = await open(server, alice, PHONE)
  await enter(phone, 'Garden')
  await message(phone, `Leaf number ${MESSAGES - 1}`).waitFor()
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

test('a long press opens the actions, and their sheet can be dragged down', async () => {
  await says(phone, 'Mine')
  await message(phone, 'Mine').locator('.meta svg').waitFor()
  await act(phone, 'Mine', 'Edit', true)
  await says(phone, 'Mine, edited by touch')
  await message(phone, 'Mine, edited by touch').getByText('edited').first().waitFor()
  await message(phone, 'Mine, edited').locator('.bubble').click({ button: 'right' })
  await still(phone.locator('chat-actions .handle'))
  const handle = await phone.locator('chat-actions .handle').boundingBox()
  await drag(phone, { x: handle.x + handle.width / 2, y: handle.y + 8 }, 0, 120)
  await phone.locator('chat-actions').waitFor({ state: 'detached' })
})

test('a tap is not a long press, even if the gestures load late', async () => {
  let late = () => {}
  const loaded = new Promise(done => {
    late = done
  })
  const fresh = await open(server, bob, PHONE)
  await fresh.route('**/swipe-*.js', async route => {
    await loaded
    await route.continue()
  })
  await enter(fresh, 'Garden')
  const asked = fresh.waitForRequest('**/swipe-*.js')
  await message(fresh, 'Mine, edited')
    .locator('.bubble')
    .tap({ position: { x: 8, y: 8 } })
  await asked
  const came = fresh.waitForResponse('**/swipe-*.js')
  late()
  await (await came).finished()
  await fresh.evaluate(() => new Promise(done => setTimeout(done, 600)))
  assert.equal(await fresh.locator('chat-actions').count(), 0)
  await fresh.context().close()
})

test('a short swipe does not reply', async () => {
  const box = await message(phone, 'Mine, edited').locator('.bubble').boundingBox()
  await drag(phone, { x: box.x + 10, y: box.y + box.height / 2 }, 40, 0)
  await phone.waitForTimeout(300)
  assert.equal(await phone.locator('chat-composer .about').count(), 0)
})

test('pulling at the top retries a failed load', async () => {
  await phone.route('**/events/*', route => route.abort())
  const scroll = phone.locator('chat-timeline .scroll')
  await scroll.evaluate(one => one.scrollTo(0, 0))
  const older = phone.locator('chat-timeline .older:has-text("Try again")')
  await older.waitFor()
  await phone.unroute('**/events/*')
  await scroll.evaluate(one => one.scrollTo(0, 0))
  const known = await phone.locator('chat-message').count()
  const { x, y, width } = await scroll.boundingBox()
  await drag(phone, { x: x + width / 2, y: y + 80 }, 0, 200)
  await older.waitFor({ state: 'detached' })
  await phone.locator('chat-message').nth(known).waitFor({ state: 'attached' })
})

test('a swipe from the edge goes back to the list, a short one does not', async () => {
  await drag(phone, { x: 6, y: 400 }, 60, 0)
  await phone.waitForTimeout(300)
  assert.match(phone.url(), /\/chat\/r\//)
  await drag(phone, { x: 6, y: 400 }, 220, 0)
  await phone.locator('chat-room-list:not([inert])').waitFor()
  await phone.waitForURL(/\/chat\/$/)
  await phone.goForward()
  await phone.locator('chat-composer textarea').waitFor()
})

test('touch targets are large enough', async () => {
  const small = await phone.evaluate(() => {
    const found = []
    const walk = root => {
      for (const one of root.querySelectorAll('*')) {
        if (one.shadowRoot) walk(one.shadowRoot)
        if (!one.matches('button, input:not([type=file]), textarea') || !one.checkVisibility()) continue
        const { width, height } = one.getBoundingClientRect()
        const inText = one.matches('.quote, .fold, .picture, .doc')
        if (!inText && width > 0 && Math.round(Math.min(width, height)) < 44)
          found.push(`${one.className} ${width} x ${height}`)
      }
    }
    walk(document)
    return found
  })
  assert.deepEqual(small, [])
  assert.deepEqual(phone.faults, [])
})
