/**
 * The tag: a page of any origin loads this module and has `<chat-room>`, `<chat-badge>` and `<chat-app>`.
 *
 * The last two are loaded only by a page that has them, now or later.
 */
import './elements/define.ts'

export { setTexts } from './elements/texts.ts'

const LATER: Readonly<Record<string, () => Promise<unknown>>> = {
  'chat-app': () => import('./elements/define-app.ts'),
  'chat-badge': () => import('./elements/define-badge.ts'),
}

const missing = new Set(Object.keys(LATER))

function look(): void {
  for (const name of missing) {
    if (!document.querySelector(name)) continue
    missing.delete(name)
    void LATER[name]!()
  }
  if (missing.size === 0) observer.disconnect()
}

const observer = new MutationObserver(look)
observer.observe(document, { childList: true, subtree: true })
look()
