/** Tells a server that refuses this page's origin from one that can't be reached. */

/** Whether `server` answers, but not what is asked from pages of this origin. */
export async function isForeign(server: string): Promise<boolean> {
  // The script may be loaded by every page, calls may not.
  const [script, call] = await Promise.all([
    answers(`${server}/chat-room.js`),
    answers(`${server}/api/chat/unread/`),
  ])
  if (!script || call) return false
  console.error(`chat: ${server} refuses pages of ${location.origin}; name it in ALLOWED_ORIGINS`)
  return true
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url, { cache: 'no-store', credentials: 'omit' })
    return true
  } catch {
    return false
  }
}
