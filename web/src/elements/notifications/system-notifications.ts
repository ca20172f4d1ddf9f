/**
 * Unread messages and notifications outside the page: in the tab's title and icon, on the app's icon, as notifications
 * of the system, and as a sound.
 *
 * What is told of, and when, is decided by the server. The service worker shows it; where there is none, the page does.
 */
import type { Client } from '../../client/client.ts'
import { feedOf } from '../../client/notification-feed.ts'
import type { NotificationFrame, PersonalFrame, ServerFrame } from '../../client/wire.ts'
import { t } from '../shared/texts.ts'
import { deviceOf, registration } from './device.ts'
import { readRecord, showsLocally } from './device-record.ts'
import { chime, isSoundOn } from './sound.ts'

type Shown = Pick<NotificationFrame, 'type' | 'id' | 'kind' | 'room_id' | 'seq' | 'title' | 'body' | 'urgent'>

/** What the service worker tells the page. */
type WorkerMessage =
  | { readonly type: 'open'; readonly room: string; readonly seq: number }
  | { readonly type: 'subscription_changed' }

export class SystemNotifications {
  #client: Client | null = null
  #title = document.title
  #unread = -1
  #isSynced = false

  /** `open` shows a room, at a message unless `seq` is 0. */
  constructor(private readonly open: (room: string, seq: number) => void) {}

  /** Starts following `client`. */
  follow(client: Client): void {
    if (client === this.#client) return
    this.stop()
    this.#client = client
    client.addEventListener('change', this.#onChange)
    client.addEventListener('frame', this.#onFrame)
    feedOf(client).addEventListener('read', this.#onFeedRead)
    navigator.serviceWorker?.addEventListener('message', this.#onWorkerMessage)
    this.#onChange()
  }

  /** Stops following the client and resets title and icon. */
  stop(): void {
    if (!this.#client) return
    this.#client.removeEventListener('change', this.#onChange)
    this.#client.removeEventListener('frame', this.#onFrame)
    feedOf(this.#client).removeEventListener('read', this.#onFeedRead)
    navigator.serviceWorker?.removeEventListener('message', this.#onWorkerMessage)
    this.#client = null
    this.#isSynced = false
    this.#showCount(0)
  }

  /** Ends what this device shows to the user, who signs out. */
  async leave(): Promise<void> {
    if (this.#client) await deviceOf(this.#client).leave()
  }

  #onChange = (): void => {
    const client = this.#client!
    const isKnown = client.inbox.loaded || client.username !== ''
    if (isKnown) this.#showCount(client.inbox.total_unread)
    if (client.state === 'open' && !this.#isSynced) {
      this.#isSynced = true
      if (readRecord()) void deviceOf(client).sync()
    }
  }

  #showCount(total_unread: number): void {
    if (total_unread === this.#unread) return
    this.#unread = total_unread
    document.title = total_unread > 0 ? `(${total_unread}) ${this.#title}` : this.#title
    const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]')
    const file = total_unread > 0 ? 'icon-unread.svg' : 'icon.svg'
    if (icon) icon.href = icon.href.replace(/[^/]+$/, file)
    // Only installed pages have an icon that can show it.
    const badge = total_unread > 0 ? navigator.setAppBadge?.(total_unread) : navigator.clearAppBadge?.()
    badge?.catch(() => {})
  }

  #onFrame = (event: Event): void => {
    const { detail: frame } = event as CustomEvent<ServerFrame | PersonalFrame>
    if (frame.type === 'notification') {
      if (isSoundOn()) void chime()
      if (showsLocally(readRecord(), this.#client!.me)) void this.#show(frame)
    } else if (frame.type === 'notification_gone') void tellWorker(frame)
    else if (frame.type === 'reminder' && frame.fired_at) this.#remind(frame.id, frame.room_id)
  }

  #remind(id: string, room_id: string): void {
    const title = t('reminderNotice')
    const body = this.#client!.inbox.rooms.find(one => one.id === room_id)?.display_name ?? ''
    const record = readRecord()
    // Reminders are not pushed.
    if (record && !record.on) return
    void this.#show({
      type: 'notification',
      id,
      kind: 'reminder',
      room_id,
      seq: 0,
      title,
      body,
      urgent: false,
    })
  }

  /** Has the service worker close what was read while this device was away. */
  #onFeedRead = (): void => {
    const { list, readAt_ms } = feedOf(this.#client!)
    void tellWorker({ type: 'unread', ids: list.map(one => one.id), before_ms: readAt_ms })
  }

  #onWorkerMessage = ({ data }: MessageEvent<WorkerMessage>): void => {
    if (data.type === 'open') this.open(data.room, data.seq)
    else if (data.type === 'subscription_changed') void deviceOf(this.#client!).sync()
  }

  /** Shows a notification unless the user looks at the page. */
  async #show({ type, id, kind, room_id, seq, title, body, urgent }: Shown): Promise<void> {
    if (!('Notification' in globalThis) || Notification.permission !== 'granted') return
    if (document.visibilityState === 'visible') return
    if (await tellWorker({ type, id, kind, room_id, seq, title, body, urgent })) return
    try {
      const notification = new Notification(title, { body, tag: room_id })
      notification.onclick = () => {
        focus()
        notification.close()
        this.open(room_id, seq)
      }
    } catch {
      // Some browsers allow only service workers to show notifications.
    }
  }
}

/** Sends a message to the service worker. Returns whether there is one. */
async function tellWorker(message: object): Promise<boolean> {
  const worker = (await registration())?.active
  worker?.postMessage(message)
  return Boolean(worker)
}
