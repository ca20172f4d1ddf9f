/** A Django project with the samples of docs/EMBEDDING.md, in a browser: tests/django has the project. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { closeBrowser, DESK, message, open, Server, says } from './harness.mjs'

const TESTS = fileURLToPath(new URL('../django', import.meta.url))
const TARGET = process.env.CARGO_TARGET_DIR ?? resolve(TESTS, '../../target')
const SECRET = randomBytes(32).toString('hex')
/** Makes two users and a task, and prints a session of each user. */
const SEED = `
import json, django
django.setup()
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
from properties.models import Property
from tasks.models import Task

def session(name):
    user = get_user_model().objects.create_user(name, first_name=name.title())
    store = SessionStore()
    store.update({"_auth_user_id": str(user.pk), "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
                  "_auth_user_hash": user.get_session_auth_hash()})
    store.create()
    return user, store.session_key

(ana, anas), (ben, bens) = session("ana"), session("ben")
house = Property.objects.create(name="Mill Lane 7")
house.managers.add(ben)
Task.objects.create(title="Fix the boiler", property=house).assignees.add(ana)
print(json.dumps([anas, bens]))
`
/** The fake server knows neither keys nor grants. */
const skip = !process.env.CHAT_BIN && 'needs the real server'

let server
let django
let sessions
const folder = mkdtempSync(join(tmpdir(), 'chat-django-'))

before(async () => {
  if (skip) return
  server = await new Server({ env: { JWT_SECRET: SECRET, JWT_ISSUER: 'aristay-app' } }).start()
  const venv = execFileSync(join(TESTS, 'install'), [join(TARGET, 'tmp'), '5.2'], { encoding: 'utf8' }).trim()
  const python = join(venv, 'bin/python')
  const env = {
    ...process.env,
    CHAT_URL: server.url,
    CHAT_TEST_DATABASE: join(folder, 'db.sqlite3'),
    JWT_SECRET: SECRET,
    DJANGO_SETTINGS_MODULE: 'project.settings',
    PYTHONDONTWRITEBYTECODE: '1',
  }
  const runs = (...args) => execFileSync(python, args, { cwd: TESTS, env, encoding: 'utf8', timeout: 60_000 })
  runs('manage.py', 'migrate', '--run-syncdb', '--verbosity', '0')
  sessions = JSON.parse(runs('-c', SEED))
  runs('manage.py', 'check', '--fail-level', 'WARNING')
  runs('manage.py', 'sync_chat')
  const args = ['manage.py', 'runserver', '--noreload', `127.0.0.1:${server.port + 1}`]
  django = spawn(python, args, { cwd: TESTS, env, stdio: 'ignore' })
  process.on('exit', () => django.kill('SIGKILL'))
  for (let tries = 0; tries < 300; tries++) {
    if ((await fetch(`http://127.0.0.1:${server.port + 1}/api/chat/`).catch(() => null))?.ok) return
    await new Promise(done => setTimeout(done, 100))
  }
  throw new Error('Django did not start')
})

after(async () => {
  await closeBrowser()
  django?.kill('SIGKILL')
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Opens a page of the project as the user of a session. */
async function opens(session, path) {
  const page = await open({ url: server.foreign }, null, DESK, null)
  await page.context().addCookies([{ name: 'sessionid', value: session, url: server.foreign }])
  await page.goto(server.foreign + path)
  return page
}

test('the samples for Django show the room of a task, a badge and a button', { skip }, async () => {
  const [anas, bens] = sessions
  const ana = await opens(anas, '/tasks/1/')
  await ana.locator('chat-composer textarea').waitFor()
  assert.equal(await ana.locator('chat-conversation h2').textContent(), 'Fix the boiler')
  await says(ana, 'On my way')
  await message(ana, 'On my way').locator('.meta:not(:has-text("Waiting"))').waitFor()

  const ben = await opens(bens, '/tasks/')
  await ben.locator('chat-badge [part=count]:has-text("1")').waitFor()
  await ben.getByText('Discuss (1)').click()
  await message(ben, 'On my way').waitFor()
  assert.match(ben.url(), /\/tasks\/1\/#chat-task-1$/)
  await says(ben, 'Thank you')
  await message(ana, 'Thank you').waitFor()
  // The page shows the count of its moment; that of the read mark may be a moment later.
  for (let tries = 0; tries < 40; tries++) {
    await ben.goto(`${server.foreign}/tasks/`)
    if (await ben.getByText('Discuss', { exact: true }).count()) break
  }
  assert.equal(await ben.locator('.chat-button').textContent(), 'Discuss')
  assert.deepEqual([...ana.faults, ...ben.faults], [])
})
