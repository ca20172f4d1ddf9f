/** Details of the appearance: times, days, outlines, right-to-left text. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  closeBrowser,
  DESK,
  drag,
  enter,
  message,
  open,
  PEOPLE,
  PHONE,
  Server,
  says,
  swipe,
} from './harness.mjs'

const { alice, bob } = PEOPLE
const AMERICAN = { locale: 'en-US', timezoneId: 'UTC' }
const ARABIC = 'مرحبا بالجميع في الدرج الخلفي'
let server
let room

before(async () => {
  server = await new Server().start()
  room = await server.group('Garage', alice, bob)
  for (const content of ['One', 'Two', 'Three', ARABIC, 'Five']) {
    await server.call(bob, 'POST', 'messages/', { room: room.id, content })
  }
  await server.call(alice, 'POST', 'messages/', { room: room.id, content: 'Mine' })
  await server.call(alice, 'POST', `rooms/${room.id}/mark_read/`)
  await server.call(bob, 'POST', `rooms/${room.id}/mark_read/`)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

test('hours have no leading zero where that is unusual, and old dates have their year', async () => {
  const page = await open(server, alice, { ...DESK, ...AMERICAN })
  const today = new Date().toISOString().slice(0, 10)
  await page.route('**/api/chat/rooms/?*', async route => {
    const answer = await route.fetch()
    const list = await answer.json()
    const [first] = list.results
    list.results[0] = { ...first, last_message_time: `${today}T06:00:00Z` }
    list.results.push({
      ...first,
      id: crypto.randomUUID(),
      display_name: 'Old',
      last_message_time: '2024-03-05T06:00:00Z',
    })
    await route.fulfill({ response: answer, json: list })
  })
  await page.reload()
  const time = (name, hasText) => page.locator(`button.room:has-text("${name}") time`, { hasText }).waitFor()
  await time('Garage', /^6:00\sAM$/)
  await time('Old', /24$/)
  await page.context().close()
})

test('a tap shows the time of a message within its group without covering another', async () => {
  const phone = await open(server, alice, PHONE)
  await enter(phone, 'Garage')
  for (const text of ['Two', ARABIC]) {
    const time = message(phone, text).locator('time')
    const hidden = () => time.evaluate(one => getComputedStyle(one.parentElement).opacity)
    assert.equal(await hidden(), '0')
    await message(phone, text).locator('.text').tap()
    assert.equal(await hidden(), '1')
    const bubble = await message(phone, text).locator('.bubble').boundingBox()
    const box = await time.boundingBox()
    assert.ok(box.x >= bubble.x && box.x + box.width <= bubble.x + bubble.width, `${text}: inside its bubble`)
    assert.ok(box.y + box.height <= bubble.y + bubble.height, `${text}: inside its bubble`)
    await message(phone, text).locator('.text').tap()
    assert.equal(await hidden(), '0')
  }
  await phone.context().close()
})

test('a time beside a bubble is on the correct side in both directions', async () => {
  const desk = await open(server, alice, DESK)
  await enter(desk, 'Garage')
  for (const dir of ['ltr', 'rtl']) {
    await desk.evaluate(dir => {
      document.documentElement.dir = dir
    }, dir)
    for (const text of ['Two', ARABIC]) {
      await message(desk, text).hover()
      const bubble = await message(desk, text).locator('.bubble').boundingBox()
      const box = await message(desk, text).locator('time').boundingBox()
      const beside = dir === 'ltr' ? box.x - bubble.x - bubble.width : bubble.x - box.x - box.width
      assert.ok(beside > 0, `${dir} ${text}: ${beside} px beside its bubble`)
    }
  }
  await desk.context().close()
})

test('right-to-left text is truncated at its end', async () => {
  const rooms = await server.group('Souk', alice, bob)
  await server.call(bob, 'POST', 'messages/', { room: rooms.id, content: `${ARABIC} `.repeat(6) })
  for (const options of [DESK, PHONE]) {
    const page = await open(server, alice, options)
    const text = page.locator('button.room:has-text("Souk") .text [dir=auto]')
    await text.waitFor()
    const { cut, seen } = await text.evaluate(one => {
      const walk = document.createTreeWalker(one, NodeFilter.SHOW_TEXT)
      let node = walk.nextNode()
      while (node && !node.data.trim()) node = walk.nextNode()
      const range = document.createRange()
      range.setStart(node, 0)
      range.setEnd(node, 1)
      const first = range.getBoundingClientRect()
      const { left, right } = one.getBoundingClientRect()
      return {
        cut: one.scrollWidth > one.clientWidth,
        seen: first.left >= left - 1 && first.right <= right + 1,
      }
    })
    assert.deepEqual({ cut, seen }, { cut: true, seen: true })
    await page.context().close()
  }
})

test('panes, arrow and gestures are mirrored in right-to-left pages', async () => {
  const phone = await open(server, alice, { ...PHONE, reducedMotion: 'reduce' })
  await phone.evaluate(() => {
    document.documentElement.dir = 'rtl'
  })
  const aside = await phone.locator('main').evaluate(one => one.getBoundingClientRect().right)
  assert.ok(aside <= 0, `the conversation waits at the left: ${aside}`)
  await enter(phone, 'Garage')
  await message(phone, 'Five').waitFor()
  const arrow = phone.locator('chat-conversation header .icon svg').first()
  assert.match(await arrow.evaluate(one => getComputedStyle(one).transform), /^matrix\(-1/)
  await phone.waitForTimeout(300)
  await swipe(phone, 'Five', -90)
  await phone.locator('chat-composer .about').waitFor()
  await drag(phone, { x: 384, y: 400 }, -220, 0)
  await phone.locator('chat-room-list:not([inert])').waitFor()
  await phone.context().close()
})

test('buttons, inputs and messages have outlines in forced colours', async () => {
  for (const options of [DESK, PHONE]) {
    const page = await open(server, alice, { ...options, forcedColors: 'active' })
    const outlined = async (selector, where = page) => {
      const seen = await where
        .locator(selector)
        .first()
        .evaluate(one => {
          const { borderTopStyle, borderTopWidth, outlineStyle, outlineWidth } = getComputedStyle(one)
          const drawn = (style, width) => style !== 'none' && Number.parseFloat(width) > 0
          return drawn(borderTopStyle, borderTopWidth) || drawn(outlineStyle, outlineWidth)
        })
      assert.ok(seen, `${selector} has an outline`)
    }
    await page.locator('button.room').first().waitFor()
    await outlined('chat-room-list input')
    await enter(page, 'Garage')
    await message(page, 'Five').waitFor()
    for (const selector of [
      'chat-message .bubble',
      '.day span',
      'chat-composer textarea',
      'chat-composer .send',
    ])
      await outlined(selector)
    await message(page, 'Mine').locator('.bubble').click({ button: 'right' })
    await page.locator('chat-actions [role=menuitem]').first().waitFor()
    await outlined('chat-actions dialog')
    await page.keyboard.press('Escape')
    await page.locator('chat-composer textarea').focus()
    const ring = await page
      .locator('chat-composer textarea')
      .evaluate(one => getComputedStyle(one).outlineStyle)
    assert.equal(ring, 'solid')
    await page.context().close()
  }
})

test('the focused element has exactly one ring', async () => {
  const page = await open(server, alice, DESK)
  await page.keyboard.press('/')
  const field = page.locator('chat-room-list input:focus')
  await field.waitFor()
  const look = await field.evaluate(one => {
    const { outlineWidth, borderTopColor } = getComputedStyle(one)
    return { outlineWidth, borderTopColor }
  })
  assert.deepEqual(look, { outlineWidth: '2px', borderTopColor: 'rgba(0, 0, 0, 0)' })
  await page.context().close()
})

test('no letter of an avatar is too small to read', async () => {
  const page = await open(server, alice, PHONE)
  await enter(page, 'Garage')
  await message(page, 'Mine').locator('.readers chat-avatar').waitFor()
  const sizes = await page
    .locator('chat-avatar span')
    .evaluateAll(all => all.map(one => Number.parseFloat(getComputedStyle(one).fontSize)))
  assert.ok(sizes.length > 2 && sizes.every(size => size >= 12), String(sizes))
  assert.equal(await message(page, 'Mine').locator('.readers chat-avatar span').textContent(), 'B')
  await page.context().close()
})

test('no day separator covers a text', async () => {
  const many = await server.group('Long', alice, bob)
  await server.says(
    bob,
    many.id,
    Array.from({ length: 40 }, (_, n) => `Line number ${n}`),
  )
  for (const options of [DESK, PHONE]) {
    const page = await open(server, alice, options)
    await enter(page, 'Long')
    const scroll = page.locator('chat-timeline .scroll')
    await message(page, 'Line number').waitFor()
    await scroll.evaluate(one => one.scrollTo(0, 500))
    const open_ = await page.evaluate(() => {
      const timeline = document
        .querySelector('chat-app')
        .shadowRoot.querySelector('chat-conversation')
        .shadowRoot.querySelector('chat-timeline').shadowRoot
      const day = timeline.querySelector('.day')
      const { left, width } = day.getBoundingClientRect()
      const pill = day.querySelector('span').getBoundingClientRect()
      const edge = timeline.querySelector('.scroll').getBoundingClientRect()
      const style = getComputedStyle(day)
      return {
        wide: Math.abs(width - edge.width) < 20 && Math.abs(left - edge.left) < 20,
        covered: style.backgroundImage !== 'none',
        top: pill.top - edge.top,
        above: day.getBoundingClientRect().top - edge.top,
      }
    })
    assert.ok(open_.wide && open_.covered && open_.above <= 0 && open_.top >= 0, JSON.stringify(open_))
    await page.context().close()
  }
})

test('a room that opens at its end shows no jump button, whatever the previous room showed', async () => {
  const page = await open(server, alice, DESK)
  await enter(page, 'Long')
  await message(page, 'Line number').waitFor()
  await page.locator('chat-timeline .scroll').evaluate(one => one.scrollTo(0, 0))
  await page.locator('chat-timeline .jump').waitFor()
  await enter(page, 'Garage')
  await message(page, 'Five').waitFor()
  assert.equal(await page.locator('chat-timeline .jump').count(), 0)
  await page.context().close()
})

test('"New" disappears when everything has been read, and returns for missed messages', async () => {
  const fresh = await server.group('Cellar', alice, bob)
  for (const content of ['Water', 'More water']) {
    await server.call(bob, 'POST', 'messages/', { room: fresh.id, content })
  }
  const page = await open(server, alice, DESK)
  await enter(page, 'Cellar')
  const line = page.locator('chat-timeline .new')
  await line.waitFor()
  await line.waitFor({ state: 'detached' })
  const look = state =>
    page.evaluate(value => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value })
      document.dispatchEvent(new Event('visibilitychange'))
    }, state)
  await look('hidden')
  await server.call(bob, 'POST', 'messages/', { room: fresh.id, content: 'It is dry again' })
  await line.waitFor()
  await look('visible')
  await says(page, 'Thank you')
  await line.waitFor({ state: 'detached' })
  assert.deepEqual(page.faults, [])
  await page.context().close()
})
