import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { act, closeBrowser, DESK, enter, message, open, PEOPLE, PHONE, Server } from './harness.mjs'

const { alice, bob } = PEOPLE
let server
let desk
let phone

before(async () => {
  server = await new Server().start()
  for (const name of ['Terrace', 'Stairs']) {
    const { id } = await server.group(name, alice, bob)
    await server.call(bob, 'POST', 'messages/', { room: id, content: `Question on the ${name}` })
  }
  desk = await open(server, alice, DESK)
  phone = await open(server, alice, PHONE)
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

const area = page => page.locator('chat-composer textarea')
const row = (page, name) => page.locator(`chat-room-list button.room:has-text("${name}")`).first()

/** Waits until the composer has this text. */
async function holds(page, text) {
  await page.waitForFunction(text => {
    const conversation = document.querySelector('chat-app').shadowRoot.querySelector('chat-conversation')
    const composer = conversation?.shadowRoot.querySelector('chat-composer')
    return composer?.shadowRoot.querySelector('textarea').value === text
  }, text)
}

test('a draft of one device is in the list and in the composer of another, with its reply', async () => {
  await enter(desk, 'Terrace')
  await act(desk, 'Question on the Terrace', 'Reply')
  await area(desk).pressSequentially('I think **so**')
  await row(phone, 'Terrace').getByText('Draft:').waitFor()
  await row(phone, 'Terrace').getByText('I think so').waitFor()
  await enter(phone, 'Terrace')
  assert.equal(await area(phone).inputValue(), 'I think **so**')
  await phone.locator('chat-composer .about:has-text("Question on the Terrace")').waitFor()
})

test('the draft ends everywhere when it is sent', async () => {
  await phone.locator('chat-composer .send').tap()
  await message(phone, 'I think so').locator('.quote').waitFor()
  await message(desk, 'I think so').waitFor()
  await area(desk).blur()
  await holds(desk, '')
  await desk.locator('chat-composer .about').waitFor({ state: 'detached' })
})

test('what is being typed is never replaced, and the last change is kept', async () => {
  await area(desk).pressSequentially('Typed at the desk')
  await holds(phone, 'Typed at the desk')
  await area(phone).fill('Typed on the phone')
  await phone.locator('chat-composer .send').focus()
  await desk.waitForTimeout(1_500)
  assert.equal(await area(desk).inputValue(), 'Typed at the desk')
  await area(desk).pressSequentially(', later')
  await desk.waitForTimeout(1_500)
  await enter(desk, 'Stairs')
  await row(desk, 'Terrace').getByText('Typed at the desk, later').waitFor()
  await area(desk).fill('')
  const { results } = await server.call(alice, 'GET', 'drafts/')
  assert.deepEqual(
    results.map(one => one.content),
    ['Typed at the desk, later'],
  )
})

test('a draft that was typed offline follows when there is a connection', async () => {
  await phone.context().setOffline(true)
  await area(phone).fill('From the cellar')
  await phone.locator('chat-conversation header .icon').first().tap()
  await phone.waitForTimeout(1_500)
  await row(phone, 'Terrace').getByText('From the cellar').waitFor()
  await phone.context().setOffline(false)
  await row(desk, 'Terrace').getByText('From the cellar').waitFor()
  assert.deepEqual([desk.faults, phone.faults], [[], []])
})

test('a server without drafts is asked once, and drafts stay on their device', async () => {
  const page = await open(server, bob, DESK, null)
  let calls = 0
  await page.route(/\/drafts?\/(\?|$)/, route => {
    calls++
    return route.fulfill({ status: 404, json: { detail: 'Not found.', code: 'not_found' } })
  })
  await page.goto(`${server.url}/chat/`)
  await enter(page, 'Terrace')
  await area(page).fill('Mine alone')
  await enter(page, 'Stairs')
  await row(page, 'Terrace').getByText('Mine alone').waitFor()
  await page.waitForTimeout(1_500)
  assert.equal(calls, 1)
  await enter(page, 'Terrace')
  assert.equal(await area(page).inputValue(), 'Mine alone')
  assert.deepEqual(page.faults, [])
})
