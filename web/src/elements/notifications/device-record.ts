/** What this device remembers of whether it tells its user of messages, and what follows from it when the page starts. */

const KEY = 'chat notifications'

export interface DeviceRecord {
  readonly user: number
  /** Whether the user has turned notifications on here, or off. */
  readonly on: boolean
  /** The id of the browser's subscription at the server; null where there is none. */
  readonly subscription: string | null
}

/** Returns what the user has chosen on this device, or null. */
export function readRecord(): DeviceRecord | null {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? 'null') as DeviceRecord | null
  } catch {
    return null
  }
}

export function writeRecord(record: DeviceRecord | null): void {
  try {
    if (record) localStorage.setItem(KEY, JSON.stringify(record))
    else localStorage.removeItem(KEY)
  } catch {
    // Without storage the choice holds until the page is left.
  }
}

/** What the browser says. */
export interface BrowserFacts {
  readonly permission: NotificationPermission
  /** The server's key with which the browser is subscribed; null where it is not. */
  readonly key: string | null
}

/** Returns what has to be done about the browser's subscription so that it fits the user's choice. */
export function planOf(
  record: DeviceRecord | null,
  user: number,
  { permission, key }: BrowserFacts,
  serverKey: string,
): 'nothing' | 'subscribe' | 'register' | 'unsubscribe' {
  const isWanted = permission === 'granted' && record?.on === true && record.user === user
  if (!isWanted) return key === null ? 'nothing' : 'unsubscribe'
  return key === serverKey ? 'register' : 'subscribe'
}

/** Whether this device shows what its user is told of while the page is open: unless that was turned off. */
export function showsLocally(record: DeviceRecord | null, user: number | null): boolean {
  if (!record || record.user !== user) return true
  return record.on && record.subscription === null
}
