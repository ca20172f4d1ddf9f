import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { closeBrowser, DESK, host, message, open, PEOPLE, Server, says, tokenOf } from './harness.mjs'

const DOC = readFileSync(new URL('../../docs/EMBEDDING.md', import.meta.url), 'utf8')
const HTML = { 'Content-Type': 'text/html' }
const SCRIPT = { 'Content-Type': 'text/javascript' }
let server
let token

before(async () => {
  server = await new Server().start()
  token = tokenOf({ ...PEOPLE.alice, grant: 'task:42' })
})

after(async () => {
  await closeBrowser()
  await server.stop()
})

/** The samples of one language below a heading, talking to this server. */
function samples(heading, language) {
  const section = DOC.split(/^## /m).find(one => one.startsWith(heading))
  const found = [...section.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)]
  return found
    .filter(([, of]) => of === language)
    .map(([, , text]) => text.replaceAll('https://chat.example', server.url))
}

/** Opens what a sample makes of a page, and says something there. */
async function tries(files, text) {
  const close = await host(server, files)
  try {
    const page = await open({ url: server.foreign }, null, DESK, '/')
    await page.locator('chat-composer textarea').waitFor()
    await says(page, text)
    await message(page, text).locator('.meta:not(:has-text("Waiting"))').waitFor()
    assert.deepEqual(page.faults, [])
    const subject = await page.locator('chat-conversation h2').textContent()
    await page.context().close()
    return subject
  } finally {
    await close()
  }
}

test('the sample in plain HTML is a page that works', async () => {
  const [sample] = samples('Plain HTML', 'html')
  const body = sample.replace(/token="[^"]+"/, `token="${token}"`)
  assert.ok(sample.trim().split('\n').length <= 11)
  assert.equal(await tries({ '/': { headers: HTML, body } }, 'From plain HTML'), 'Fix the boiler')
})

test('the sample with a function for the token works under the policy that is given', async () => {
  const [, body] = samples('Plain HTML', 'html')
  const [script] = samples('Plain HTML', 'js')
  const [policy] = DOC.split('```\n').filter(one => one.startsWith('script-src'))
  const live = policy
    .replaceAll('wss://chat.example', server.url.replace('http', 'ws'))
    .replaceAll('https://chat.example', server.url)
    .replaceAll('\n', ' ')
  const page = `<!doctype html><html lang="en"><title>Task</title>${body}
    <script type="module" src="${server.url}/chat-room.js"></script></html>`
  const files = {
    '/': { headers: { ...HTML, 'Content-Security-Policy': `default-src 'none'; ${live}` }, body: page },
    '/static/chat.js': { headers: SCRIPT, body: script },
    '/chat-token/': { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token }) },
  }
  await tries(files, 'By a function')
})

test('the Django template works as Django fills it', async () => {
  const [template] = samples('A Django template', 'html')
  const [script] = samples('A Django template', 'js')
  const body = template
    .replace(/\{#.*?#\}|\{% load static %\}/g, '')
    .replace('{{ CHAT_URL }}', server.url)
    .replace('{{ task.pk }}', '42')
    .replace('{{ task.title }}', 'Fix the boiler')
    .replace("{% url 'task-chat-token' task.pk %}", '/tasks/42/chat-token/')
    .replace("{% static 'chat.js' %}", '/static/chat.js')
  assert.doesNotMatch(body, /\{[{%#]/)
  const files = {
    '/': { headers: HTML, body },
    '/static/chat.js': { headers: SCRIPT, body: script },
    '/tasks/42/chat-token/': {
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token }),
    },
  }
  assert.equal(await tries(files, 'From Django'), 'Fix the boiler')
})

test("the page in Flutter's web view works", async () => {
  const [dart] = samples('Flutter', 'dart')
  const body = /'''\n([\s\S]*?)'''/
    .exec(dart)[1]
    .replace(/\$\{widget\.task\}/, '42')
    .replace(/\$\{jsonEncode\(widget\.token\)\}/, JSON.stringify(token))
  assert.doesNotMatch(body, /\$\{/)
  await tries({ '/': { headers: HTML, body } }, 'From Flutter')
})
