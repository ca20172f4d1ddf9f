/** Commands of a bot, what it answers, and the buttons on its cards. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, enter, message, open, PEOPLE, PHONE, Server, says } from './harness.mjs'

const { WebSocket } = createRequire(new URL('../../web/package.json', import.meta.url))('ws')
const { alice, bob } = PEOPLE
const skip = !process.env.CHAT_BIN && 'needs the real server'
let server
let room
let bot
let socket
let desk
let phone
const frames = []

/** Calls the API as the bot. */
async function botCalls(method, path, body) {
  const answer = await fetch(`${server.url}/api/chat/${path}`, {
    method,
    headers: { Authorization: `Bearer ${bot.token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.ok(answer.ok, `${path}: ${answer.status}`)
  return answer.status === 204 ? null : answer.json()
}

/** Waits for the next frame of a type that the bot gets. */
async function botHears(type) {
  for (let tries = 0; tries < 200; tries++) {
    const at = frames.findIndex(frame => frame.type === type)
    if (at >= 0) return frames.splice(at, 1)[0]
    await new Promise(done => setTimeout(done, 50))
  }
  throw new Error(`the bot heard no ${type}`)
}

before(async () => {
  if (skip) return
  server = await new Server().start()
  room = (await server.group('Turnover', alice, bob)).id
  bot = await server.call({ scope: 'service' }, 'POST', 'bots/', { username: 'helper', full_name: 'Helper' })
  await server.call(alice, 'POST', 'participants/', { room, user: bot.id })
  await botCalls('PUT', 'commands/', [{ name: 'remind', description: 'Reminds you', hint: 'when what' }])
  socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws/chat/?token=${bot.token}`)
  socket.on('message', data => frames.push(JSON.parse(data)))
  await botHears('connection_established')
  desk = await open(server, alice, DESK)
  phone = await open(server, bob, PHONE)
  await enter(desk, 'Turnover')
  await enter(phone, 'Turnover')
})

after(async () => {
  socket?.close()
  await closeBrowser()
  await server?.stop()
})

const area = page => page.locator('chat-composer textarea')

test('a command is completed, given, and answered to whoever gave it', { skip }, async () => {
  await area(desk).focus()
  await desk.keyboard.type('/re')
  const option = desk.locator('chat-composer [role=option]:has-text("/remind")')
  await option.waitFor()
  assert.match(await option.textContent(), /when what/)
  await desk.keyboard.press('Tab')
  assert.equal(await area(desk).inputValue(), '/remind ')
  await desk.keyboard.type('me at nine')
  await desk.keyboard.press('Enter')
  const command = await botHears('command')
  assert.deepEqual([command.name, command.text, command.user_id], ['remind', 'me at nine', alice.user_id])
  await desk.getByText('The bot has got it.').waitFor()
  await botCalls('POST', 'commands/answer/', {
    token: command.token,
    content: 'At nine, then',
    only_to_caller: true,
  })
  await desk.locator('chat-post-area .answer:has-text("Helper")').getByText('At nine, then').waitFor()
  assert.equal(await phone.getByText('At nine, then').count(), 0)
  await desk.getByRole('button', { name: 'Dismiss' }).click()
  await desk.getByText('At nine, then').waitFor({ state: 'detached' })
  const { count } = await server.call(alice, 'GET', `messages/?room=${room}`)
  assert.equal(count, 0, 'the text of a command is not posted')
  // What is no command is a message.
  await says(desk, '/shrug')
  await message(phone, '/shrug').waitFor()
})

test('a bot is marked, and its buttons are pressed by a thumb', { skip }, async () => {
  const buttons = [
    { id: 'yes', text: 'Yes, all done', style: 'primary' },
    { id: 'no', text: 'Not yet' },
  ]
  const card = { v: 1, kind: 'card', title: 'Is unit 4 ready?', buttons }
  await botCalls('POST', 'messages/', { room, card })
  const shown = phone.locator('chat-card:has-text("Is unit 4 ready?")')
  await message(phone, 'Is unit 4 ready?').locator('.name:has-text("Bot")').waitFor()
  const button = shown.getByRole('button', { name: 'Yes, all done' })
  const box = await button.boundingBox()
  assert.ok(box.height >= 44, JSON.stringify(box))
  await button.tap()
  const action = await botHears('card_action')
  assert.deepEqual([action.action, action.user_id, action.room_id], ['yes', bob.user_id, room])
  await shown.locator('[role=status]:has-text("Sent to the bot")').waitFor({ state: 'attached' })
  assert.deepEqual(phone.faults, [])
})

test('when the bot is away, what was typed is there again', { skip }, async () => {
  socket.close()
  for (let tries = 0; tries < 50 && socket.readyState !== WebSocket.CLOSED; tries++)
    await new Promise(done => setTimeout(done, 50))
  await says(desk, '/remind me later')
  await desk.getByText('The bot is not connected. Try again later.').waitFor()
  assert.equal(await area(desk).inputValue(), '/remind me later')
  assert.deepEqual(desk.faults, [])
})
