/** What a user changes of a room for themself, from its row in the list. */
import type { Client } from '../../client/client.ts'
import type { ListedRoom } from '../../client/wire.ts'

/** Number of messages read in search of one by another user. */
const MESSAGES_PAGE = 20

/** Reads the id of the user as a participant. @throws ChatError */
async function participantId(client: Client, room: ListedRoom): Promise<number | undefined> {
  const query = { room: room.id, user: client.me! }
  const { data } = await client.api.GET('/api/chat/participants/', { params: { query } })
  return data.results[0]?.id
}

/** Adds a room to the favourites, or removes it. @throws ChatError */
export async function setFavourite(client: Client, room: ListedRoom, favourite: boolean): Promise<void> {
  const id = await participantId(client, room)
  if (id === undefined) return
  await client.api.PATCH('/api/chat/participants/{id}/', { params: { path: { id } }, body: { favourite } })
  await client.loadRooms()
}

/** Mutes a room until a time, or for good, or unmutes it. @throws ChatError */
export async function setMuted(
  client: Client,
  room: ListedRoom,
  muted: boolean,
  until?: Date,
): Promise<void> {
  const id = await participantId(client, room)
  if (id === undefined) return
  const body = { muted, ...(until && { muted_until: until.toISOString() }) }
  await client.api.POST('/api/chat/participants/{id}/mute/', { params: { path: { id } }, body })
  await client.loadRooms()
}

/** Marks a room as read. @throws ChatError */
export async function markRead(client: Client, { id }: ListedRoom): Promise<void> {
  await client.api.POST('/api/chat/rooms/{id}/mark_read/', { params: { path: { id } } })
}

/** Marks the last message of another user as unread, if there is one. @throws ChatError */
export async function markUnread(client: Client, { id }: ListedRoom): Promise<void> {
  const query = { room: id, page_size: MESSAGES_PAGE }
  const { data } = await client.api.GET('/api/chat/messages/', { params: { query } })
  const last = data.results.find(one => one.sender.id !== client.me)
  if (!last) return
  const options = { params: { path: { id } }, body: { message_id: last.id } }
  await client.api.POST('/api/chat/rooms/{id}/mark_unread/', options)
}

/** Marks all rooms as read, one after the other. @throws ChatError */
export async function markAllRead(client: Client): Promise<void> {
  for (const room of client.inbox.rooms) if (room.unread_count > 0) await markRead(client, room)
}
