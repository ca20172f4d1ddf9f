/**
 * A server and browsers for the end-to-end tests.
 *
 * `CHAT_BIN` names the server's binary. Without it the fake server of `web/tests/fake` is used, which has the
 * same commands. Users are created by tokens that are signed here with the server's key.
 */
import { spawn } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { createServer as listen } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const { chromium } = require('playwright-core')
export const AXE = require.resolve('axe-core/axe.min.js')

const FAKE = fileURLToPath(new URL('../../web/tests/fake/main.mjs', import.meta.url))
const FLAGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'
const SECRET = `stories ${randomUUID()} ${randomUUID()}`
/** Time for the server to start; the first start creates a database. */
const READY_MS = 60_000

/** Number of concurrent requests of a test. */
export const CONCURRENCY = 10

export const DESK = { viewport: { width: 1280, height: 800 }, locale: 'en-GB' }
export const PHONE = {
  viewport: { width: 390, height: 844 },
  hasTouch: true,
  isMobile: true,
  deviceScaleFactor: 2,
  locale: 'en-GB',
}

export const PEOPLE = {
  alice: { user_id: 900_001, username: 'alice', full_name: 'Alice Stone' },
  bob: { user_id: 900_002, username: 'bob', full_name: 'Bob Reed' },
  carol: { user_id: 900_003, username: 'carol', full_name: 'Carol Marsh' },
}

const DOT = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
export const PICTURE = { name: 'lift.png', mimeType: 'image/png', buffer: Buffer.from(DOT, 'base64') }

/** Signs an access token in the form of Django SimpleJWT. */
export function tokenOf(claims, seconds = 3600) {
  const now = Math.floor(Date.now() / 1000)
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = {
    token_type: 'access',
    exp: now + seconds,
    iat: now,
    jti: randomUUID().replaceAll('-', ''),
    ...claims,
  }
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(body)}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

/** Finds a free port whose successor is free as well. */
async function freePorts() {
  const free = port =>
    new Promise(done => {
      const probe = listen()
      probe.once('error', () => done(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)))
    })
  for (;;) {
    // Below the ephemeral ports of the system.
    const port = 20_000 + 2 * Math.floor(Math.random() * 5_000)
    if ((await free(port)) && (await free(port + 1))) return port
  }
}

/** The running servers; none outlives an aborted test. */
const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM')
})

/** A server with its own data. */
export class Server {
  #child = null
  #dir = mkdtempSync(join(tmpdir(), 'chat-e2e-'))
  #args
  #more
  port = 0
  output = ''

  /** `env` and `args` extend the settings that tests normally use. */
  constructor({ env = {}, args = [] } = {}) {
    this.#more = env
    this.#args = args
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  /** The origin of the pages that embed the tag. */
  get foreign() {
    return `http://localhost:${this.port + 1}`
  }

  get #env() {
    return {
      ...process.env,
      DATA_DIR: this.#dir,
      BIND: `127.0.0.1:${this.port}`,
      PUBLIC_URL: this.url,
      JWT_SECRET: SECRET,
      ALLOWED_ORIGINS: `${this.url},${this.foreign}`,
      BUILTIN_ACCOUNTS: 'on',
      RATE_LIMITS: 'off',
      ...this.#more,
    }
  }

  #spawn() {
    const [bin, ...args] = process.env.CHAT_BIN ? [process.env.CHAT_BIN, 'serve'] : ['node', FAKE, 'serve']
    const child = spawn(bin, [...args, ...this.#args], { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    child.on('exit', () => running.delete(child))
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', data => {
        this.output = (this.output + data).slice(-20_000)
      })
    }
    return child
  }

  async start() {
    this.port ||= await freePorts()
    this.#child = this.#spawn()
    const end = Date.now() + READY_MS
    while (Date.now() < end) {
      if (this.#child.exitCode !== null) break
      const answer = await fetch(`${this.url}/chat/`).catch(() => null)
      if (answer?.ok) return this
      await new Promise(done => setTimeout(done, 100))
    }
    throw new Error(`the server did not start:\n${this.output}`)
  }

  /** Kills the server without a shutdown. */
  async kill() {
    const exited = new Promise(done => this.#child.on('exit', done))
    this.#child.kill('SIGKILL')
    await exited
  }

  async stop() {
    const exited = new Promise(done => this.#child.on('exit', done))
    this.#child.kill('SIGTERM')
    await exited
    rmSync(this.#dir, { recursive: true, force: true })
  }

  /** Calls the API as a user; retries while the server is overloaded, as clients do. */
  async call(user, method, path, body, tries = 5) {
    const sent = path === 'messages/' ? { client_id: randomUUID(), ...body } : body
    const answer = await fetch(`${this.url}/api/chat/${path}`, {
      method,
      headers: { Authorization: `Bearer ${tokenOf(user)}`, 'Content-Type': 'application/json' },
      body: sent && JSON.stringify(sent),
    })
    const value = await answer.json().catch(() => null)
    if (answer.status === 503 && tries > 1) return this.call(user, method, path, sent, tries - 1)
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(value)}`)
    return value
  }

  /** Posts texts to a room, several at a time, so that their order is only approximate. */
  async says(user, room, all) {
    for (let at = 0; at < all.length; at += CONCURRENCY) {
      const some = all.slice(at, at + CONCURRENCY)
      await Promise.all(some.map(content => this.call(user, 'POST', 'messages/', { room, content })))
    }
  }

  /** Creates the users and a group of them. */
  async group(name, ...users) {
    for (const user of users) await this.call(user, 'GET', 'users/me/')
    const [first, ...others] = users
    const participant_ids = others.map(user => user.user_id)
    return this.call(first, 'POST', 'rooms/', { room_type: 'group', name, participant_ids })
  }
}

let browser = null

/** Opens the page as a user in a browser context of its own; with no path, the page stays empty. */
export async function open(server, user, options = DESK, path = '/chat/') {
  browser ??= await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS.split(' ') })
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.faults = []
  page.on('pageerror', error => page.faults.push(String(error)))
  page.on('console', message => {
    if (message.type() === 'error' && /Content Security|Uncaught/.test(message.text()))
      page.faults.push(message.text())
  })
  if (user) {
    const session = JSON.stringify({ access: tokenOf(user), refresh: '' })
    await context.addInitScript(kept => localStorage.setItem('chat session', kept), session)
  }
  if (path !== null) await page.goto(server.url + path)
  return page
}

export async function closeBrowser() {
  await browser?.close()
  browser = null
}

/** Serves files, by path, on the other origin. */
export async function host(server, files) {
  const http = createServer((request, response) => {
    const file = files[request.url.split('?')[0]]
    if (!file) return response.writeHead(404).end()
    response.writeHead(200, file.headers).end(file.body)
  })
  await new Promise(done => http.listen(server.port + 1, 'localhost', done))
  return () => new Promise(done => http.close(done))
}

/** Returns the texts of the rendered messages in order. */
export function texts(page) {
  return page.locator('chat-message').evaluateAll(all =>
    all.map(one => {
      const text = one.shadowRoot.querySelector('.text')
      const meta = text.querySelector('.meta')
      return [...text.childNodes]
        .filter(node => node !== meta && node.nodeType !== Node.COMMENT_NODE)
        .map(node => node.textContent)
        .join('')
        .trim()
    }),
  )
}

/** Opens a room and waits until it is loaded and subscribed. */
export async function enter(page, name) {
  await page.locator(`chat-room-list button.room:has-text("${name}")`).first().click()
  await page.locator('chat-conversation [role=log]').waitFor()
  await page.locator('chat-composer textarea').waitFor()
}

export async function says(page, text) {
  await page.locator('chat-composer textarea').fill(text)
  await page.locator('chat-composer .send').click()
}

export function message(page, text) {
  return page.locator(`chat-message:has-text("${text}")`).last()
}

/** Returns where an element is once it has stopped moving, as it may while more of the page is loaded. */
export async function settledBox(locator) {
  let box = await locator.boundingBox()
  for (let tries = 0; tries < 50; tries++) {
    await locator.evaluate(() => new Promise(resolve => setTimeout(resolve, 100)))
    const now = await locator.boundingBox()
    if (now.x === box.x && now.y === box.y && now.height === box.height) break
    box = now
  }
  return box
}

/** Opens the menu of a message, by mouse or by a long press. */
export async function openActions(page, text, touch = false) {
  const bubble = message(page, text).locator('.bubble')
  if (touch) {
    await bubble.scrollIntoViewIfNeeded()
    const box = await settledBox(bubble)
    const cdp = await page.context().newCDPSession(page)
    const touchPoints = [{ x: box.x + box.width / 2, y: box.y + box.height / 2 }]
    await cdp.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints })
    await page.locator('chat-actions [role=menuitem]').first().waitFor()
    await cdp.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  } else {
    await bubble.click({ button: 'right', position: { x: 8, y: 8 } })
  }
}

/** Selects an action of a message. */
export async function act(page, text, action, touch = false) {
  await openActions(page, text, touch)
  await page.locator(`chat-actions [role=menuitem]:text-is("${action}")`).click()
}

/** Deletes a message, including the confirmation. */
export async function remove(page, text, touch = false) {
  await act(page, text, 'Delete', touch)
  await page.getByText('Delete this message for everyone?').waitFor()
  await page.locator('chat-actions [role=menuitem]:has-text("Delete")').click()
}

/** Waits until all animations in the shadow root of `locator` have ended. */
export async function still(locator) {
  await locator.evaluate(async one => {
    await Promise.all(
      one
        .getRootNode()
        .getAnimations()
        .map(motion => motion.finished),
    )
  })
}

/**
 * Returns the violations that axe finds in a page, each with its `view`.
 *
 * In dark mode only colours are checked, because everything else is the same as in light mode.
 */
export async function violations(page, view) {
  return page.evaluate(async view => {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches
    const rules = dark ? { runOnly: { type: 'rule', values: ['color-contrast'] } } : {}
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'], ...rules })
    return violations.map(
      one =>
        `${view}: ${one.id}: ${one.nodes.map(node => `${node.target} ${node.failureSummary}`).join(' | ')}`,
    )
  }, view)
}

/** Moves a finger from a point by `dx` and `dy`, and lifts it. */
export async function drag(page, { x, y }, dx, dy) {
  const cdp = await page.context().newCDPSession(page)
  const steps = Math.max(Math.abs(dx), Math.abs(dy)) / 10
  const at = share => [{ x: x + dx * share, y: y + dy * share }]
  await cdp.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: at(0) })
  await page.waitForTimeout(50)
  for (let step = 1; step <= steps; step++) {
    await cdp.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: at(step / steps) })
    await page.waitForTimeout(10)
  }
  await cdp.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
}

/** Swipes over a message. */
export async function swipe(page, text, way) {
  const box = await message(page, text).locator('.bubble').boundingBox()
  await drag(page, { x: box.x + 20, y: box.y + box.height / 2 }, way, 0)
}
