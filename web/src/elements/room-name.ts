/** What a room is called, and by which sign it is known. */
import type { Client } from '../client/client.ts'
import type { Room } from '../client/room.ts'
import type { RoomType } from '../client/wire.ts'
import { t } from './texts.ts'

/** The name as the server gives it, or made the same way while it isn't known. */
export function roomName(room: Room, client: Client): string {
  const listed = client.inbox.rooms.find(one => one.id === room.id)
  const { timeline } = room.view
  const known = timeline?.room.name || timeline?.room.title
  if (known) return known
  if (listed) return listed.display_name
  if (timeline?.room.room_type === 'direct') {
    const other = [...timeline.people.values()].find(one => one.user.id !== client.me)
    if (other) return other.user.full_name || other.user.username
  }
  return t('chat')
}

export function subjectSign(type: RoomType | undefined): 'task' | 'property' | null {
  return type === 'task' || type === 'property' ? type : null
}
