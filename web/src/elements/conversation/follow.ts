/** What a conversation follows beside its room: the user's drafts and, in a tag of its own, notices. */
import type { Client } from '../../client/client.ts'
import { followDrafts } from '../composer/draft-devices.ts'
import type { ChatNotices } from '../later/notices.ts'

interface Host extends HTMLElement {
  readonly renderRoot: HTMLElement | DocumentFragment
}

/** Drafts are the same on all devices of the user, with the message that they reply to. */
export async function followUser(host: Host, client: Client, roomId: string): Promise<void> {
  void followDrafts(client).loadReply(roomId)
  // The whole chat shows the notices of all rooms.
  if ((host.getRootNode() as ShadowRoot).host?.localName !== 'chat-room') return
  const { ChatNotices } = await import('../define-notices.ts')
  const known = host.renderRoot.querySelector<ChatNotices>('chat-notices')
  const notices = known ?? new ChatNotices()
  notices.client = client
  notices.roomId = roomId
  if (!known) host.renderRoot.append(notices)
}
