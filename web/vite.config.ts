/**
 * Builds the page and the tag into `dist`.
 *
 * The server has to serve:
 * - `/chat/`, and any path below it without a file extension: `dist/index.html`, never cached, with the
 *   policy `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;
 *   connect-src 'self' ws: wss:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';
 *   frame-ancestors 'self'`;
 * - `/chat/<path>`: `dist/<path>`; `assets/*` have a hash in their name and may be cached indefinitely;
 * - `/chat/sw.js`: never cached, because it controls the cache;
 * - `/chat-room.js`: `dist/chat-room.js`, cached for minutes. It only re-exports the hashed modules, so that
 *   the address in a host page never changes and still loads the newest version;
 * - all of it with `Access-Control-Allow-Origin: *`, because pages of other origins load these modules;
 * - `/api/docs/<path>`: `dist/docs/<path>`, with a policy that allows inline styles;
 * - where `dist` contains `<path>.br` or `<path>.gz` and the client accepts that encoding, those bytes with
 *   `Vary: Accept-Encoding`. They are not requested by their own names. Of the largest files there is no other form.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const STABLE = 'chat-room.js'
/** At the root of the page, because its scope is the paths below it. */
const WORKER = 'sw.js'

/** Emits the entry, which only re-exports the core chunk, under its stable name. */
function stableEntry(): Plugin {
  return {
    name: 'stable-entry',
    apply: 'build',
    generateBundle(_options, bundle) {
      const entry = Object.values(bundle).find(file => file.type === 'chunk' && file.name === 'chat-room')
      if (entry?.type !== 'chunk' || entry.code.length > 200) throw new Error('the entry has code of its own')
      delete bundle[entry.fileName]
      const source = entry.code.replaceAll('./', './chat/assets/')
      this.emitFile({ type: 'asset', fileName: STABLE, source })
    },
  }
}

/** Minifies the templates of elements, which are string literals to the minifier of scripts. */
function minifyTemplates(): Plugin {
  return {
    name: 'minify-templates',
    apply: 'build',
    enforce: 'pre',
    transform(code, id) {
      if (!id.includes('/src/elements/')) return null
      const styles = code.replace(/css`[^`]*`/g, text =>
        text
          .replace(/\s+/g, ' ')
          .replace(/\s*([{};,])\s*/g, '$1')
          .replace(/: /g, ':')
          .replace(/;}/g, '}')
          .replace(/ > /g, '>'),
      )
      const templates = styles
        .replace(/html`\n\s+/g, 'html`')
        .replace(/\n\s+`/g, '`')
        .replace(/\n\s+/g, '\n')
      return { code: templates, map: null }
    },
  }
}

/** The two forms in which Vite wraps a dynamic import. */
const PRELOADED_EXPORT =
  /__vitePreload\(async \(\) => \{\s*const (\{ \w+ \}) = await (import\("[^"]+"\));\s*return \1;\s*\}, __VITE_PRELOAD__, import\.meta\.url\)/g
const PRELOADED_MODULE =
  /__vitePreload\(\(\) => (import\("[^"]+"\)(?:\.then\(\(\w+\) => \w+\.\w+\))?), __VITE_PRELOAD__, import\.meta\.url\)/g

/**
 * Removes Vite's preloading, which would add links to the host page; these chunks have no stylesheets.
 *
 * `load` replaces the function in case an import is wrapped in any other form.
 */
function noPreload(): Plugin {
  return {
    name: 'no-preload',
    apply: 'build',
    enforce: 'pre',
    load: (id: string) =>
      id.includes('vite/preload-helper') ? 'export const __vitePreload = load => load()' : null,
    renderChunk: code => ({
      code: code.replace(PRELOADED_EXPORT, '$2').replace(PRELOADED_MODULE, '$1'),
      map: null,
    }),
  }
}

/** Shortens the messages by which Lit explains wrong uses of `css`: they are long, and these styles are literals. */
function shortErrors(): Plugin {
  return {
    name: 'short-errors',
    apply: 'build',
    enforce: 'pre',
    transform: (code: string, id: string) =>
      id.includes('/@lit/reactive-element/')
        ? { code: code.replace(/Error\("[^"]{30,}"(?:\+\w+\+"[^"]*")?\)/g, 'Error("css")'), map: null }
        : null,
  }
}

/** Replaces the compiler's decorator helper by one for the kind of decorators in `decorators.ts`. */
function decorators(): Plugin {
  return {
    name: 'decorators',
    apply: 'build',
    enforce: 'pre',
    transform: (_code: string, id: string) =>
      id.endsWith('/decorate.js')
        ? 'export default (all, proto, name) => all.forEach(decorator => decorator(proto, name))'
        : null,
  }
}

/**
 * Puts everything that the tag loads immediately into one chunk, which compresses better than several.
 *
 * These are the modules that the tag reaches by static imports.
 */
function coreChunk() {
  const eager = new Set<string>()
  return {
    name: (id: string, graph: { getModuleInfo(id: string): { importedIds: string[] } | null }) => {
      if (eager.size === 0) {
        const queue = [ENTRY]
        for (let module = queue.pop(); module; module = queue.pop()) {
          if (eager.has(module)) continue
          eager.add(module)
          queue.push(...(graph.getModuleInfo(module)?.importedIds ?? []))
        }
      }
      return eager.has(id) ? 'core' : null
    },
  }
}

/** The page that shows the OpenAPI document; what is here isn't part of the chat's page. */
const API_PAGE = 'docs'

/** Adds what that page is made with, which has no modules to bundle. */
function apiPage(): Plugin {
  return {
    name: 'api-page',
    apply: 'build',
    generateBundle() {
      for (const name of ['swagger-ui-bundle.js', 'swagger-ui.css']) {
        const source = readFileSync(fileURLToPath(import.meta.resolve(`swagger-ui-dist/${name}`)))
        this.emitFile({ type: 'asset', fileName: `${API_PAGE}/${name}`, source })
      }
    },
  }
}

/** Files that the service worker caches only once the page has requested them. */
const NOT_IN_SHELL =
  /\.json$|\.(br|gz)$|^chat-room\.js$|^sw\.js$|^docs\/|^(apple-touch-icon|icon-(512|maskable))/

/** Fills the paths and the version of the page's files into the service worker. */
function appShell(): Plugin {
  let dist = ''
  return {
    name: 'app-shell',
    apply: 'build',
    configResolved(config) {
      dist = join(config.root, config.build.outDir)
    },
    writeBundle() {
      const entries = readdirSync(dist, { recursive: true, withFileTypes: true })
      const names = entries
        .filter(entry => entry.isFile())
        .map(entry => relative(dist, join(entry.parentPath, entry.name)))
      const files = names.filter(name => !NOT_IN_SHELL.test(name)).sort()
      const worker = join(dist, WORKER)
      const code = readFileSync(worker, 'utf8')
      const hash = createHash('sha256').update(code)
      for (const name of files) hash.update(name).update(readFileSync(join(dist, name)))
      const paths = files.map(name => (name === 'index.html' ? '/chat/' : `/chat/${name}`))
      const filled = code
        .replace('SHELL_FILES', JSON.stringify(paths))
        .replace('SHELL_VERSION', JSON.stringify(hash.digest('hex').slice(0, 12)))
      writeFileSync(worker, filled)
    },
  }
}

/** Extensions of files that benefit from compression. */
const COMPRESSED = new Set(['.css', '.html', '.js', '.json', '.svg', '.webmanifest'])

/** Files of more bytes are kept in their compressed forms alone: they would make the server's binary large. */
const PLAIN_BYTES_MAX = 500_000

/**
 * Compresses the built files at the highest level.
 *
 * A server that compresses each response has to use a fast level, whose output is a third larger.
 */
function compress(): Plugin {
  let dist = ''
  return {
    name: 'compress',
    apply: 'build',
    configResolved(config) {
      dist = join(config.root, config.build.outDir)
    },
    closeBundle() {
      for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
        if (!COMPRESSED.has(extname(name))) continue
        const plain = readFileSync(join(dist, name))
        const params = { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length }
        const encodings = { br: brotliCompressSync(plain, { params }), gz: gzipSync(plain, { level: 9 }) }
        for (const [extension, bytes] of Object.entries(encodings)) {
          if (bytes.length < plain.length) writeFileSync(join(dist, `${name}.${extension}`), bytes)
        }
        if (plain.length > PLAIN_BYTES_MAX) rmSync(join(dist, name))
      }
    },
  }
}

const ENTRY = fileURLToPath(new URL('./src/chat-room.ts', import.meta.url))
const SERVER = process.env.CHAT_SERVER ?? 'http://127.0.0.1:8000'

export default defineConfig({
  base: '/chat/',
  plugins: [
    minifyTemplates(),
    noPreload(),
    shortErrors(),
    decorators(),
    stableEntry(),
    appShell(),
    apiPage(),
    compress(),
  ],
  build: {
    target: 'es2022',
    modulePreload: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      input: { page: 'index.html', 'chat-room': 'src/chat-room.ts', sw: 'src/sw/sw.ts' },
      preserveEntrySignatures: 'strict',
      output: {
        entryFileNames: ({ name }) => (name === 'sw' ? WORKER : 'assets/[name]-[hash].js'),
        chunkFileNames: 'assets/[name]-[hash].js',
        codeSplitting: { groups: [coreChunk()] },
      },
    },
  },
  experimental: {
    // Pages of other origins load the tag, so modules refer to each other by relative paths.
    renderBuiltUrl: (_name, { hostType }) => (hostType === 'js' ? { relative: true } : undefined),
  },
  server: {
    proxy: {
      '/api': { target: SERVER },
      '/ws': { target: SERVER, ws: true },
    },
  },
  test: {
    include: ['tests/**/*.test.ts'],
    globalSetup: 'tests/dist.ts',
    fileParallelism: false,
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
})
