/**
 * Notifications of the system: shown for a push or for a message of the page, taken back once they are read, and opened
 * by a click.
 *
 * They are shown here only, so that a room has one at a time whoever asks for it.
 */
import {
  hasToShow,
  isPage,
  type NoticeData,
  type NotificationText,
  noticeOf,
  type PushText,
  parsePush,
  pathOf,
} from './push-text.ts'

declare const self: ServiceWorkerGlobalScope

/** What the page asks for. */
type PageMessage =
  | PushText
  | { readonly type: 'unread'; readonly ids: readonly string[]; readonly before_ms: number }

/** Registers the handlers. */
export function handleNotices(): void {
  self.addEventListener('push', event => event.waitUntil(onPush(event.data?.text() ?? '')))
  self.addEventListener('message', event => event.waitUntil(onMessage(event.data as PageMessage)))
  self.addEventListener('notificationclick', event => event.waitUntil(open(event.notification)))
  self.addEventListener('pushsubscriptionchange', event => event.waitUntil(renew(event)))
}

async function onPush(text: string): Promise<void> {
  const push = parsePush(text)
  if (!push) return
  if (push.badge !== undefined) await setBadge(push.badge)
  if (push.type === 'notification_gone') await close(({ id }) => push.ids.includes(id))
  else if (hasToShow(navigator.userAgent) || !(await isPageVisible())) await show(push)
}

async function onMessage(message: PageMessage): Promise<void> {
  if (message.type === 'notification_gone') await close(({ id }) => message.ids.includes(id))
  else if (message.type === 'unread')
    // What was shown after the list had been read isn't in it.
    await close(({ id, at_ms }) => !message.ids.includes(id) && at_ms < message.before_ms)
  else if (message.type === 'notification' && !(await isPageVisible())) await show(message)
}

async function show(text: NotificationText): Promise<void> {
  const [before] = await self.registration.getNotifications({ tag: text.room_id })
  const { title, options } = noticeOf(text, before?.data as NoticeData | undefined, Date.now())
  await self.registration.showNotification(title, options)
}

async function close(isEnded: (data: NoticeData) => boolean): Promise<void> {
  for (const notice of await self.registration.getNotifications()) {
    const data = notice.data as NoticeData | null
    if (data && isEnded(data)) notice.close()
  }
}

async function setBadge(count: number): Promise<void> {
  // Only installed pages have an icon that can show it.
  await (count > 0 ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.())?.catch(() => {})
}

async function pages(): Promise<WindowClient[]> {
  const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true })
  return windows.filter(({ url }) => isPage(url))
}

async function isPageVisible(): Promise<boolean> {
  return (await pages()).some(page => page.visibilityState === 'visible')
}

/** Shows what a notification is about in a page that is open, or in a new one. */
async function open(notice: Notification): Promise<void> {
  notice.close()
  const data = notice.data as NoticeData
  const open = await pages()
  const page = open.find(one => one.focused) ?? open.find(one => one.visibilityState === 'visible') ?? open[0]
  if (!page) {
    await self.clients.openWindow(pathOf(data))
    return
  }
  page.postMessage({ type: 'open', room: data.room, seq: data.seq })
  await page.focus().catch(() => {})
}

/** Subscribes again where the browser has dropped the subscription. Only a page can tell the server, now or later. */
async function renew({ oldSubscription, newSubscription }: PushSubscriptionChangeEvent): Promise<void> {
  const applicationServerKey = oldSubscription?.options.applicationServerKey
  if (!newSubscription && applicationServerKey) {
    const options = { userVisibleOnly: true, applicationServerKey }
    await self.registration.pushManager.subscribe(options).catch(() => {})
  }
  for (const page of await pages()) page.postMessage({ type: 'subscription_changed' })
}
