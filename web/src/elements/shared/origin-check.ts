/** Distinguishes a server that refuses this page's origin from one that cannot be reached. */

/** Whether `server` responds, but not to calls from pages of this origin. */
export async function isOriginRefused(server: string): Promise<boolean> {
  // Every page may load the script; calls are restricted to the allowed origins.
  const [script, call] = await Promise.all([
    isReachable(`${server}/chat-room.js`),
    isReachable(`${server}/api/chat/unread/`),
  ])
  if (!script || call) return false
  console.error(`chat: ${server} refuses pages of ${location.origin}; name it in ALLOWED_ORIGINS`)
  return true
}

async function isReachable(url: string): Promise<boolean> {
  try {
    await fetch(url, { cache: 'no-store', credentials: 'omit' })
    return true
  } catch {
    return false
  }
}
