/** Finds a message that an overlay was opened for as it is now. */
import type { RoomView } from '../../client/room.ts'
import type { Message } from '../../client/wire.ts'

/** Returns the message in the timeline, which replaces the one that was waiting to be sent. */
export function currentMessage({ timeline }: RoomView, opened: Message): Message {
  const { id, client_id, sender } = opened
  for (const entry of timeline?.entries ?? []) {
    if (entry.kind !== 'message') continue
    const { message } = entry
    const isSent = client_id !== null && message.client_id === client_id && message.sender.id === sender.id
    if (message.id === id || isSent) return message
  }
  return opened
}
