import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import {
  AXE,
  closeBrowser,
  DESK,
  host,
  message,
  open,
  PEOPLE,
  PHONE,
  Server,
  says,
  tokenOf,
  violations,
} from './harness.mjs'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
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

/** Returns the samples of one language below a heading, adapted to this server. */
function samples(heading, language) {
  const section = DOC.split(/^## /m).find(one => one.startsWith(heading))
  const found = [...section.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)]
  return found
    .filter(([, of]) => of === language)
    .map(([, , text]) => text.replaceAll('https://chat.example', server.url))
}

/** Opens a sample's page and sends a message in it. */
async function tries(files, text, options = DESK) {
  const close = await host(server, files)
  try {
    const page = await open({ url: server.foreign }, null, options, '/')
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

test('the plain HTML sample works', async () => {
  const [sample] = samples('Plain HTML', 'html')
  const body = sample.replace(/token="[^"]+"/, `token="${token}"`)
  assert.ok(sample.trim().split('\n').length <= 11)
  assert.equal(await tries({ '/': { headers: HTML, body } }, 'From plain HTML'), 'Fix the boiler')
})

test('the sample with a token function works under the documented policy', async () => {
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

test("the page in Flutter's web view requests each token over its channel", async () => {
  const [dart] = samples('Flutter', 'dart')
  const body = /'''\n([\s\S]*?)'''/
    .exec(dart)[1]
    .replace(/\$\{widget\.task\}/, '42')
    // The app's side of the channel.
    .replace('<head>', '<head><script src="/channel.js"></script>')
  assert.doesNotMatch(body, /\$\{/)
  const short = tokenOf({ ...PEOPLE.alice, grant: 'task:42' }, 1)
  const channel = `const tokens = ${JSON.stringify([short, token])}
    var AskToken = { postMessage() { setTimeout(() => giveToken(tokens.length > 1 ? tokens.shift() : tokens[0])) } }`
  const files = { '/': { headers: HTML, body }, '/channel.js': { headers: SCRIPT, body: channel } }
  await tries(files, 'From Flutter', PHONE)
})

test("the sample's colours are readable in light and dark, and the page can style the parts", async () => {
  const [css] = samples('Plain HTML', 'css')
  const body = `<!doctype html><html lang="en"><title>Task 42</title><meta name="color-scheme" content="light dark">
    <style>${css}</style><main><h1>Task 42</h1><chat-room task="42" token="${token}"></chat-room></main>
    <script type="module" src="${server.url}/chat-room.js"></script></html>`
  const { id } = await server.call({ ...PEOPLE.alice, grant: 'task:42' }, 'PUT', 'tasks/42/room/', {})
  await server.call({ ...PEOPLE.bob, grant: 'task:42' }, 'PUT', 'tasks/42/room/', {})
  for (const content of ['Here is Bob', 'And again'])
    await server.call(PEOPLE.bob, 'POST', 'messages/', { room: id, content })
  const close = await host(server, { '/': { headers: HTML, body } })
  try {
    for (const colorScheme of ['light', 'dark']) {
      // A page that has only light colours must stay readable whatever the system's setting is.
      for (const only of ['', 'chat-room { color-scheme: light }']) {
        const page = await open(
          { url: server.foreign },
          null,
          { ...DESK, colorScheme, reducedMotion: 'reduce' },
          '/',
        )
        if (only) await page.addStyleTag({ content: only })
        await message(page, 'And again').waitFor()
        await page.evaluate(readFileSync(AXE, 'utf8'))
        assert.deepEqual(await violations(page, `${colorScheme} ${only}`), [])
        const bubble = message(page, 'And again').locator('.bubble')
        assert.equal(await bubble.evaluate(one => getComputedStyle(one).borderRadius), '6px')
        const font = await bubble.evaluate(one => getComputedStyle(one).fontFamily)
        assert.match(font, /^Inter/)
        await page.context().close()
      }
    }
  } finally {
    await close()
  }
})

test('names are readable in a dark system if the page sets only a light surface', async () => {
  const body = `<!doctype html><html lang="en"><title>Task 42</title>
    <style>chat-room { --chat-surface: #fff; --chat-surface-2: #f3f5f4 }</style>
    <chat-room task="42" token="${token}"></chat-room>
    <script type="module" src="${server.url}/chat-room.js"></script></html>`
  const close = await host(server, { '/': { headers: HTML, body } })
  try {
    const page = await open({ url: server.foreign }, null, { ...DESK, colorScheme: 'dark' }, '/')
    const name = page.locator('chat-message .name').first()
    await name.waitFor()
    const light = await name.evaluate(one => {
      const context = document.createElement('canvas').getContext('2d')
      context.fillStyle = getComputedStyle(one).color
      context.fillRect(0, 0, 1, 1)
      return Math.max(...context.getImageData(0, 0, 1, 1).data.slice(0, 3))
    })
    assert.ok(light < 190, `a light name (${light}) on a light surface`)
    await page.context().close()
  } finally {
    await close()
  }
})

test('the sample of other texts replaces the English ones', async () => {
  const [, , texts] = samples('Plain HTML', 'html')
  const body = `<!doctype html><html lang="de"><title>Aufgabe</title><chat-room task="42" token="${token}"></chat-room>${texts}</html>`
  const close = await host(server, { '/': { headers: HTML, body } })
  try {
    const page = await open({ url: server.foreign }, null, DESK, '/')
    await page.locator('chat-composer textarea[placeholder="Nachricht"]').waitFor()
    assert.deepEqual(page.faults, [])
    await page.context().close()
  } finally {
    await close()
  }
})

/** Returns a page with one module script. */
async function triesModule(source, text) {
  const page = `<!doctype html><html lang="en"><title>Task</title><div id="app"></div>
    <script type="module" src="${server.url}/chat-room.js"></script><script type="module" src="/app.js"></script></html>`
  const files = { '/': { headers: HTML, body: page }, '/app.js': { headers: SCRIPT, body: source } }
  assert.equal(await tries(files, text), 'Fix the boiler')
}

/** Bundles an entry and a sample with the packages of `web` that they import. */
async function bundled(start, sample, ending) {
  const { build } = await import('../../web/node_modules/vite/dist/node/index.js')
  const paths = { start: '\0start.js', sample: `\0sample.${ending}` }
  const virtual = {
    name: 'samples',
    enforce: 'pre',
    resolveId: (id, importer) => {
      if (id.startsWith('virtual:')) return paths[id.slice('virtual:'.length)]
      return importer?.startsWith('\0') && !id.startsWith('\0') ? require.resolve(id) : null
    },
    load: id => ({ [paths.start]: start, [paths.sample]: sample })[id] ?? null,
  }
  const { output } = await build({
    configFile: false,
    logLevel: 'error',
    plugins: [virtual],
    define: { 'process.env.NODE_ENV': '"production"' },
    build: { write: false, rollupOptions: { input: 'virtual:start', output: { format: 'es' } } },
  })
  return output[0].code
}

test('the React component works', async () => {
  const [sample] = samples('React', 'jsx')
  const start = `import { createElement } from 'react'
    import { createRoot } from 'react-dom/client'
    import { TaskChat } from 'virtual:sample'
    const getToken = async task => ${JSON.stringify(token)}
    const props = { task: 42, subject: 'Fix the boiler', getToken, onUnread: unread => { window.unread = unread } }
    createRoot(document.querySelector('#app')).render(createElement(TaskChat, props))`
  await triesModule(await bundled(start, sample, 'jsx'), 'From React')
})

test('the Vue component works', async () => {
  const [sample] = samples('Vue', 'vue')
  const { compileScript, parse } = require('vue/compiler-sfc')
  const { descriptor } = parse(sample)
  const compilerOptions = { isCustomElement: tag => tag.startsWith('chat-') }
  const { content } = compileScript(descriptor, {
    id: 'sample',
    inlineTemplate: true,
    templateOptions: { compilerOptions },
  })
  const start = `import { createApp } from 'vue'
    import TaskChat from 'virtual:sample'
    const getToken = async task => ${JSON.stringify(token)}
    createApp(TaskChat, { task: 42, subject: 'Fix the boiler', getToken }).mount('#app')`
  await triesModule(await bundled(start, content, 'js'), 'From Vue')
})
