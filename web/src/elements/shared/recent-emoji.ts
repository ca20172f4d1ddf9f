/** The emoji that the user has used last, on this device. */

const KEY = 'chat emoji'
const RECENT_MAX = 24
/** Offered until the user has used other ones. */
const COMMON = ['👍', '❤️', '😂', '😮', '🙏', '✅']

/** Returns up to `count` emoji, the latest first; common ones fill up the first six. */
export function recentEmoji(count: number): string[] {
  const used = read()
  return [...used, ...COMMON.filter(emoji => !used.includes(emoji)).slice(0, 6 - used.length)].slice(0, count)
}

/** Records that the user has used an emoji. */
export function rememberEmoji(emoji: string): void {
  const used = [emoji, ...read().filter(one => one !== emoji)].slice(0, RECENT_MAX)
  try {
    localStorage.setItem(KEY, JSON.stringify(used))
  } catch {
    // Without storage the common ones are offered.
  }
}

function read(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]')
    return Array.isArray(stored) ? stored.filter(one => typeof one === 'string').slice(0, RECENT_MAX) : []
  } catch {
    return []
  }
}
