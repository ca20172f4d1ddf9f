/** Unread messages outside the page: in the tab's title and icon, and as notifications. */
import type { Client } from '../../client/client.ts'
import type { InboxFrame, PersonalFrame, RoomType, ServerFrame } from '../../client/wire.ts'
import { filePreview } from '../shared/preview.ts'
import { t } from '../shared/texts.ts'
import { nameOf } from '../shared/user-name.ts'
import { plainText } from '../text/formatter.ts'

export class Notifications {
  #client: Client | null = null
  #title = document.title
  #unread = new Map<string, number>()

  constructor(private readonly open: (room: string) => void) {}

  /** Starts following `client`. */
  follow(client: Client): void {
    if (client === this.#client) return
    this.stop()
    this.#client = client
    client.addEventListener('change', this.#onChange)
    client.addEventListener('frame', this.#onFrame)
  }

  /** Stops following the client and resets title and icon. */
  stop(): void {
    if (!this.#client) return
    this.#client.removeEventListener('change', this.#onChange)
    this.#client.removeEventListener('frame', this.#onFrame)
    this.#client = null
    this.#unread.clear()
    this.#showCount(0)
  }

  #onChange = (): void => {
    const { rooms, total_unread } = this.#client!.inbox
    for (const room of rooms) if (!this.#unread.has(room.id)) this.#unread.set(room.id, room.unread_count)
    this.#showCount(total_unread)
  }

  #showCount(total_unread: number): void {
    const title = total_unread > 0 ? `(${total_unread}) ${this.#title}` : this.#title
    if (document.title === title) return
    document.title = title
    const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]')
    const file = total_unread > 0 ? 'icon-unread.svg' : 'icon.svg'
    if (icon) icon.href = icon.href.replace(/[^/]+$/, file)
  }

  #onFrame = (event: Event): void => {
    const { detail: frame } = event as CustomEvent<ServerFrame | PersonalFrame>
    if (frame.type === 'inbox') this.#onInboxFrame(frame)
    else if (frame.type === 'reminder' && frame.fired_at) this.#onReminder(frame.room_id)
  }

  #onReminder(id: string): void {
    const room = this.#client!.inbox.rooms.find(one => one.id === id)
    if (document.visibilityState !== 'visible')
      void showNotification(id, t('reminderNotice'), room?.display_name ?? '', () => this.open(id))
  }

  #onInboxFrame(frame: InboxFrame): void {
    const { room_id, unread_count, display_name } = frame
    const before = this.#unread.get(room_id) ?? 0
    this.#unread.set(room_id, unread_count)
    const room = this.#client!.inbox.rooms.find(one => one.id === room_id)
    if (document.visibilityState === 'visible' || unread_count <= before || room?.is_muted) return
    void showNotification(room_id, display_name, bodyText(frame, room?.room_type), () => this.open(room_id))
  }
}

/** Returns the preview of the message, with its sender unless the room is direct. */
function bodyText(
  { last_message_preview: text, last_message_sender: sender }: InboxFrame,
  type?: RoomType,
): string {
  const body = filePreview(text) ?? plainText(text)
  return sender && type !== 'direct' ? `${nameOf(sender)}: ${body}` : body
}

async function showNotification(room: string, title: string, body: string, open: () => void): Promise<void> {
  if (!('Notification' in globalThis) || Notification.permission !== 'granted') return
  const options = { body, tag: room }
  try {
    const notification = new Notification(title, options)
    notification.onclick = () => {
      focus()
      notification.close()
      open()
    }
  } catch {
    // Chrome on Android allows only service workers to show notifications.
    const worker = await navigator.serviceWorker?.getRegistration().catch(() => undefined)
    await worker?.showNotification(title, { ...options, data: { room } }).catch(() => {})
  }
}
