/**
 * Builds the page and the tag into `dist`.
 *
 * What the server has to serve:
 * - `/chat/`, and any path below it without a file extension: `dist/index.html`, never cached, with the
 *   policy `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;
 *   connect-src 'self' ws: wss:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';
 *   frame-ancestors 'self'`;
 * - `/chat/<path>`: `dist/<path>`; `assets/*` carry a hash in their name and may be cached for ever;
 * - `/chat/sw.js`: never cached, for it decides of what is;
 * - `/chat-room.js`: `dist/chat-room.js`, cached for minutes. It only passes on the hashed modules, so
 *   that a host page names one address for ever and still loads what is new;
 * - all of it with `Access-Control-Allow-Origin: *`, for pages of other origins load these modules;
 * - where `dist` has `<path>.br` or `<path>.gz` and the client takes that encoding, those bytes, with
 *   `Vary: Accept-Encoding`. Nobody asks for them by their own names.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const STABLE = 'chat-room.js'
/** At the root of the page, for it answers for what lies below it. */
const WORKER = 'sw.js'

/** Puts the entry, which only passes on what the core chunk exports, under the stable name. */
function stableEntry(): Plugin {
  return {
    name: 'stable-entry',
    apply: 'build',
    generateBundle(_options, bundle) {
      const entry = Object.values(bundle).find(part => part.type === 'chunk' && part.name === 'chat-room')
      if (entry?.type !== 'chunk' || entry.code.length > 200) throw new Error('the entry has code of its own')
      delete bundle[entry.fileName]
      const source = entry.code.replaceAll('./', './chat/assets/')
      this.emitFile({ type: 'asset', fileName: STABLE, source })
    },
  }
}

/** Takes the indentation out of the templates of elements, which no minifier of scripts touches. */
function literals(): Plugin {
  return {
    name: 'literals',
    apply: 'build',
    enforce: 'pre',
    transform(code, id) {
      if (!id.includes('/src/elements/')) return null
      const styles = code.replace(/css`[^`]*`/g, text =>
        text
          .replace(/\s+/g, ' ')
          .replace(/\s*([{};,])\s*/g, '$1')
          .replace(/: /g, ':')
          .replace(/;}/g, '}'),
      )
      return { code: styles.replace(/\n\s+/g, '\n'), map: null }
    },
  }
}

/** Leaves out Vite's preloading: its links would go into the host's page, and chunks here bring no styles. */
function noPreload(): Plugin {
  return {
    name: 'no-preload',
    apply: 'build',
    enforce: 'pre',
    load: (id: string) =>
      id.includes('vite/preload-helper') ? 'export const __vitePreload = load => load()' : null,
  }
}

/** Applies decorators as `reactive.ts` has them, and no others: the compiler's helper is for every kind. */
function decorators(): Plugin {
  return {
    name: 'decorators',
    apply: 'build',
    enforce: 'pre',
    transform: (_code: string, id: string) =>
      id.endsWith('/decorate.js')
        ? 'export default (all, proto, name) => all.forEach(one => one(proto, name))'
        : null,
  }
}

/**
 * Gathers what the tag loads at once in one chunk, which compresses better than several.
 *
 * Whatever is reached from the tag by static imports belongs to it.
 */
function coreChunk() {
  const eager = new Set<string>()
  return {
    name: (id: string, graph: { getModuleInfo(id: string): { importedIds: string[] } | null }) => {
      if (eager.size === 0) {
        const open = [ENTRY]
        for (let at = open.pop(); at; at = open.pop()) {
          if (eager.has(at)) continue
          eager.add(at)
          open.push(...(graph.getModuleInfo(at)?.importedIds ?? []))
        }
      }
      return eager.has(id) ? 'core' : null
    },
  }
}

/** Files that the page reads only when they are needed, and keeps then. */
const NOT_IN_SHELL = /\.json$|\.(br|gz)$|^chat-room\.js$|^sw\.js$/

/** Tells the service worker what the page is made of, and which version that is. */
function shell(): Plugin {
  let dist = ''
  return {
    name: 'shell',
    apply: 'build',
    configResolved(config) {
      dist = join(config.root, config.build.outDir)
    },
    writeBundle() {
      const all = readdirSync(dist, { recursive: true, withFileTypes: true })
      const names = all.filter(one => one.isFile()).map(one => relative(dist, join(one.parentPath, one.name)))
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

/** Kinds of files that become smaller by being compressed. */
const COMPRESSED = new Set(['.css', '.html', '.js', '.json', '.svg', '.webmanifest'])

/**
 * Compresses what was built, once and as well as can be.
 *
 * A server that compresses at each request takes a quick level, and what it sends is a third larger.
 */
function compressed(): Plugin {
  let dist = ''
  return {
    name: 'compressed',
    apply: 'build',
    configResolved(config) {
      dist = join(config.root, config.build.outDir)
    },
    closeBundle() {
      for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
        if (!COMPRESSED.has(extname(name))) continue
        const plain = readFileSync(join(dist, name))
        const size = { [constants.BROTLI_PARAM_SIZE_HINT]: plain.length }
        const made = { br: brotliCompressSync(plain, { params: size }), gz: gzipSync(plain, { level: 9 }) }
        for (const [end, bytes] of Object.entries(made)) {
          if (bytes.length < plain.length) writeFileSync(join(dist, `${name}.${end}`), bytes)
        }
      }
    },
  }
}

const ENTRY = fileURLToPath(new URL('./src/chat-room.ts', import.meta.url))
const SERVER = process.env.CHAT_SERVER ?? 'http://127.0.0.1:8000'

export default defineConfig({
  base: '/chat/',
  plugins: [literals(), noPreload(), decorators(), stableEntry(), shell(), compressed()],
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
    // A page of another origin loads the tag: what a module refers to lies beside the module.
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
