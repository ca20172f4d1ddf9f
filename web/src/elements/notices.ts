/** What a person sees of the chat without looking at it: title, sign of the tab, notifications. */
import type { Client } from '../client/client.ts'
import type { InboxFrame, RoomType } from '../client/wire.ts'
import { t } from './texts.ts'

export class Notices {
  #client: Client | null = null
  #title = document.title
  #unread = new Map<string, number>()

  constructor(private readonly open: (room: string) => void) {}

  /** Follows `client` from now on. */
  follow(client: Client): void {
    if (client === this.#client) return
    this.stop()
    this.#client = client
    client.addEventListener('change', this.#count)
    client.addEventListener('news', this.#news)
  }

  /** Follows nobody any more, and tells of nobody's messages. */
  stop(): void {
    if (!this.#client) return
    this.#client.removeEventListener('change', this.#count)
    this.#client.removeEventListener('news', this.#news)
    this.#client = null
    this.#unread.clear()
    this.#tell(0)
  }

  #count = (): void => {
    const { rooms, total_unread } = this.#client!.inbox
    for (const room of rooms) if (!this.#unread.has(room.id)) this.#unread.set(room.id, room.unread_count)
    this.#tell(total_unread)
  }

  #tell(total_unread: number): void {
    const title = total_unread > 0 ? `(${total_unread}) ${this.#title}` : this.#title
    if (document.title === title) return
    document.title = title
    const sign = document.querySelector<HTMLLinkElement>('link[rel=icon]')
    const file = total_unread > 0 ? 'icon-unread.svg' : 'icon.svg'
    if (sign) sign.href = sign.href.replace(/[^/]+$/, file)
  }

  #news = (event: Event): void => {
    const { detail: frame } = event as CustomEvent<InboxFrame>
    const { room_id, unread_count, display_name } = frame
    const before = this.#unread.get(room_id) ?? 0
    this.#unread.set(room_id, unread_count)
    const room = this.#client!.inbox.rooms.find(one => one.id === room_id)
    if (document.visibilityState === 'visible' || unread_count <= before || room?.is_muted) return
    void notify(room_id, display_name, bodyOf(frame, room?.room_type), () => this.open(room_id))
  }
}

/** What was said, and in a room of several by whom. */
function bodyOf(
  { last_message_preview: text, last_message_sender: sender }: InboxFrame,
  type?: RoomType,
): string {
  const shown = { '[Image]': t('photoPreview'), '[File Attachment]': t('filePreview') }[text] ?? text
  return sender && type !== 'direct' ? `${sender.full_name || sender.username}: ${shown}` : shown
}

async function notify(room: string, title: string, body: string, open: () => void): Promise<void> {
  if (!('Notification' in globalThis) || Notification.permission !== 'granted') return
  const options = { body, tag: room }
  try {
    const notice = new Notification(title, options)
    notice.onclick = () => {
      focus()
      notice.close()
      open()
    }
  } catch {
    // Chrome on Android lets only service workers notify. Without one the title and the tab's sign are left.
    const worker = await navigator.serviceWorker?.getRegistration().catch(() => undefined)
    await worker?.showNotification(title, { ...options, data: { room } }).catch(() => {})
  }
}
