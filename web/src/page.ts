/** The page at `/chat/`: one `<chat-app>` that fills the window. */
import './chat-room.ts'
import './elements/define-app.ts'

// Only once the page has loaded, so that filling the cache does not delay it.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  addEventListener('load', () => {
    const scope = { scope: '/chat/', updateViaCache: 'none' } as const
    // Where service workers are not available, as in a private window, the page needs a connection.
    navigator.serviceWorker.register('/chat/sw.js', scope).catch(() => {})
  })
}
