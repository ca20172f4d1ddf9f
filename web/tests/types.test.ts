/** The TypeScript declarations in EMBEDDING, checked against the tags. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, describe, expect, it } from 'vitest'

const WEB = new URL('..', import.meta.url).pathname
const DOC = readFileSync(join(WEB, '../docs/EMBEDDING.md'), 'utf8')
const folder = mkdtempSync(join(WEB, 'node_modules/.types-'))

afterAll(() => rmSync(folder, { recursive: true }))

/** Returns the compiler's errors for a program with these declarations. */
function faults(program: string): string[] {
  const [, types] = /^```ts\n([\s\S]*?)^```/m.exec(DOC)!
  writeFileSync(join(folder, 'chat.d.ts'), types!)
  writeFileSync(join(folder, 'host.ts'), program)
  const { config } = ts.readConfigFile(join(WEB, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, WEB)
  const made = ts.createProgram([join(folder, 'chat.d.ts'), join(folder, 'host.ts')], {
    ...options,
    noEmit: true,
  })
  return ts.getPreEmitDiagnostics(made).map(one => ts.flattenDiagnosticMessageText(one.messageText, '\n'))
}

describe('the declarations of the tags', () => {
  it('match the tags', () => {
    const elements = '../../src/elements'
    expect(
      faults(`import type { ChatApp } from '${elements}/tags/chat-app.ts'
        import type { ChatBadge } from '${elements}/tags/chat-badge.ts'
        import type { ChatRoom } from '${elements}/tags/chat-room.ts'
        import type { ChatEvents } from '${elements}/shared/events.ts'
        declare const room: ChatRoom, badge: ChatBadge, app: ChatApp
        export const tags: [HTMLElementTagNameMap['chat-room'], HTMLElementTagNameMap['chat-badge'], HTMLElementTagNameMap['chat-app']] = [room, badge, app]
        export const told: HTMLElementEventMap['message-sent']['detail'] = {} as ChatEvents['message-sent']
        export const unread: HTMLElementEventMap['unread-changed']['detail'] = {} as ChatEvents['unread-changed']`),
    ).toEqual([])
  }, 180_000)

  it('accept a correct page and reject a wrong one', () => {
    const page = (wanted: string) => `import { setTexts } from 'https://chat.example/chat-room.js'
      setTexts({ write: 'Nachricht' })
      const tag = document.querySelector('chat-room')!
      tag.token = async () => 'token'
      tag.addEventListener('unread-changed', event => { document.title = String(event.detail.${wanted}) })`
    expect(faults(page('unread'))).toEqual([])
    expect(faults(page('unreadd'))).toHaveLength(1)
  }, 180_000)
})
