/** The page at `/chat/`: one `<chat-app>` over the whole window. */
import './chat-room.ts'
import './elements/define-app.ts'

// Once the page is there: what it keeps for the time without a line must not be in its way.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  addEventListener('load', () => {
    const scope = { scope: '/chat/', updateViaCache: 'none' } as const
    // A browser that refuses, as in a private window, has a page that needs the line.
    navigator.serviceWorker.register('/chat/sw.js', scope).catch(() => {})
  })
}
