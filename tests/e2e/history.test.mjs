import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, enter, message, open, PEOPLE, Server, says } from './harness.mjs'

const { alice, bob } = PEOPLE
/** Numbers of read and of unread messages; together they exceed the first load by far. */
const READ = 180
const UNREAD = 40
let server
let room
let desk

before(async () => {
  server = await new Server().start()
  room = (await server.group('Archive', alice, bob)).id
  const post = content => server.call(bob, 'POST', 'messages/', { room, content })
  await post('The needle is in the cellar')
  const straws = Array.from({ length: READ }, (_, n) => `Straw number ${n}`)
  await server.says(bob, room, straws)
  await server.call(alice, 'POST', `rooms/${room}/mark_read/`)
  for (let n = 0; n < UNREAD; n++) await post(`News number ${n}`)
  desk = await open(server, alice, DESK)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const jump = () => desk.locator('chat-timeline .jump')

test('a room opens at the first unread message and counts those below', async () => {
  await enter(desk, 'Archive')
  await desk.locator('chat-timeline .new').waitFor()
  const { top, bottom, line } = await desk.locator('chat-timeline .new').evaluate(one => {
    const box = one.closest('.scroll').getBoundingClientRect()
    return { top: box.top, bottom: box.bottom, line: one.getBoundingClientRect().top }
  })
  assert.ok(line >= top && line < (top + bottom) / 2, `the line is at ${line} of ${top} to ${bottom}`)
  const left = Number(await jump().locator('.count').textContent())
  assert.ok(left > 0 && left < UNREAD, `${left} more`)
})

test('new messages are counted without moving the view, and the button leads to them', async () => {
  const first = message(desk, 'News number 1')
  const before = await first.boundingBox()
  const left = Number(await jump().locator('.count').textContent())
  await server.call(bob, 'POST', 'messages/', { room, content: 'Just now' })
  await desk.waitForFunction(
    expected => {
      const view = document.querySelector('chat-app').shadowRoot.querySelector('chat-conversation')
      const timeline = view.shadowRoot.querySelector('chat-timeline')
      return timeline.shadowRoot.querySelector('.jump .count').textContent === expected
    },
    String(left + 1),
  )
  assert.equal((await first.boundingBox()).y, before.y)
  await jump().click()
  await message(desk, 'Just now').locator('.bubble').waitFor()
  await jump().waitFor({ state: 'detached' })
  await desk.locator('button.room:not(.unread):has-text("Archive")').waitFor()
})

test('loading older messages keeps the visible ones in place', async () => {
  const scroll = desk.locator('chat-timeline .scroll')
  const moved = await scroll.evaluate(async one => {
    const timeline = one.getRootNode().host
    const known = timeline.view.timeline.from
    one.scrollTo(0, 300)
    const rows = [...one.querySelectorAll('chat-message')]
    const edge = one.getBoundingClientRect().top
    const row = rows.find(each => each.getBoundingClientRect().top > edge)
    const before = row.getBoundingClientRect().top
    while (timeline.view.timeline.from === known) await new Promise(requestAnimationFrame)
    await timeline.updateComplete
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    return row.getBoundingClientRect().top - before
  })
  assert.ok(Math.abs(moved) <= 1, `moved by ${moved} px`)
})

test('an old message is found and shown in its context, and one step leads back to the end', async () => {
  await desk.locator('chat-conversation header .icon').last().click()
  await desk.locator('chat-search input').fill('needle')
  await desk.locator('chat-search .hit').click()
  await desk.locator('chat-message[marked]:has-text("needle")').waitFor()
  await message(desk, 'Straw number 3').waitFor()
  await desk.keyboard.press('Escape')
  await says(desk, 'Found it')
  await message(desk, 'Found it').locator('.bubble').waitFor()
  await message(desk, 'Just now').waitFor()
  assert.deepEqual(desk.faults, [])
})
