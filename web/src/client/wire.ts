/** The objects and frames on the wire, as the contract gives them. Types only. */
import type { Schemas, Told } from './calls.ts'

/** A person as others see one; `email` is empty but for oneself, staff and services, and not in frames. */
export type User = Readonly<Omit<Schemas['User'], 'email'>> & { readonly email?: string }

export type RoomType = Schemas['RoomTypeParam']
export type MessageType = Schemas['MessageTypeParam']

/** The message that another one answers, shortened. */
export type Quote = Told<Schemas['Quote']>

/** A message as REST gives it to one caller. */
export type RestMessage = Told<Schemas['Message']>

/** What a message tells one caller, and no frame. */
type OfCaller = 'room' | 'is_read' | 'read_count' | 'read_by' | 'modified_at' | 'deleted_at'

/** A message as frames carry it; REST answers have the same fields and some for the caller. */
export type Message = Omit<RestMessage, OfCaller | 'sender' | 'removed_by'> & {
  readonly room_id: string
  readonly sender: User
  /** In whose right it is gone, of a deleted one. */
  readonly removed_by?: string | null
}

type RestParticipant = Told<Schemas['Participant']>
type ToldOfOneself = 'is_muted' | 'muted_until' | 'unread_count' | 'last_read_at'

/** Someone in a room; frames leave out what is one's own. */
export type Participant = Omit<RestParticipant, ToldOfOneself | 'user'> &
  Partial<Pick<RestParticipant, ToldOfOneself>> & { readonly user: User }

/** A room by its id. */
export type Room = Told<Schemas['Room']>

/** What a `room_updated` frame tells of a room. */
export type RoomFacts = Pick<
  Room,
  'id' | 'name' | 'room_type' | 'task' | 'property' | 'title' | 'is_active' | 'archived_at' | 'modified_at'
>

/** A room in a list. */
export type ListRoom = Told<Schemas['ListedRoom']> & {
  /** The other one of a direct room; servers before this field don't tell. */
  readonly partner?: User | null
}

/** How far one person has read a room. */
export interface Mark {
  readonly user_id: number
  readonly seq: number
  readonly read_at: string | null
}

/** The durable events of a room, each with its number. */
export type EventFrame = { readonly room_id: string; readonly seq: number } & (
  | { readonly type: 'chat_message'; readonly message: Message }
  | { readonly type: 'message_updated'; readonly message: Message }
  | { readonly type: 'message_deleted'; readonly message_id: string; readonly removed_by?: string }
  | { readonly type: 'participant_joined'; readonly participant: Participant }
  | { readonly type: 'participant_left'; readonly participant: Participant }
  | { readonly type: 'participant_updated'; readonly participant: Participant }
  | { readonly type: 'room_updated'; readonly room: RoomFacts }
)

/** An event of a kind that this client doesn't know yet; its number counts all the same. */
export interface UnknownEvent {
  readonly type: string
  readonly room_id: string
  readonly seq: number
}

export type LogEvent = EventFrame | UnknownEvent

/** What the server says about a room besides its events. */
export type RoomFrame = { readonly room_id: string } & (
  | {
      readonly type: 'subscribed'
      readonly seq: number
      readonly epoch: string
      readonly unread_count: number
    }
  | { readonly type: 'synced'; readonly seq: number }
  | { readonly type: 'reset'; readonly seq: number; readonly epoch: string }
  | {
      readonly type: 'typing'
      readonly user_id: number
      readonly username: string
      readonly is_typing: boolean
    }
  | {
      readonly type: 'read_receipt'
      readonly message_id: string | null
      readonly user_id: number
      readonly read_at: string | null
      readonly up_to: number
    }
  | { readonly type: 'read_state'; readonly marks: Mark[] }
  | {
      readonly type: 'presence'
      readonly user_id: number
      readonly status: 'online' | 'offline'
      readonly last_seen: string | null
    }
  | { readonly type: 'presence_state'; readonly online: number[] }
  | {
      readonly type: 'ack'
      readonly client_id: string
      readonly message_id: string
      readonly seq: number
      readonly created_at: string
      readonly duplicate: boolean
    }
)

/** A room's row in the list has changed. */
export interface InboxFrame {
  readonly type: 'inbox'
  readonly room_id: string
  readonly unread_count: number
  readonly total_unread: number
  readonly last_message_preview: string
  readonly last_message_time: string
  readonly display_name: string
  readonly last_message_sender: User | null
  /** The other person of a direct room. */
  readonly partner: User | null
  readonly is_active: boolean
  readonly is_muted: boolean
}

/** A room is no longer in the list. */
export interface RoomRemoved {
  readonly type: 'room_removed'
  readonly room_id: string
  readonly total_unread: number
}

export interface ErrorFrame {
  readonly type: 'error'
  readonly code?: string
  readonly message: string
  readonly room_id?: string
  readonly client_id?: string
  readonly retry_after?: number
}

/** What the server says about the person or the connection. */
export type PersonFrame =
  | InboxFrame
  | ErrorFrame
  | {
      readonly type: 'connection_established'
      readonly user_id: number
      readonly username: string
      readonly unread_count: number
      readonly protocol: number
    }
  | { readonly type: 'room_added'; readonly room: RoomFacts }
  | RoomRemoved
  | { readonly type: 'pong'; readonly n?: number }
  | { readonly type: 'auth_ok'; readonly expires_at: string }
  | { readonly type: 'going_away'; readonly retry_after: number }

export type ServerFrame = EventFrame | RoomFrame | PersonFrame

/** What this client says. */
export type ClientFrame =
  | { readonly type: 'subscribe'; readonly room_id: string; readonly since?: number; readonly epoch?: string }
  | { readonly type: 'unsubscribe'; readonly room_id: string }
  | {
      readonly type: 'chat_message'
      readonly room_id: string
      readonly message: string
      readonly reply_to?: string
      readonly client_id: string
    }
  | { readonly type: 'typing'; readonly room_id: string; readonly is_typing: boolean }
  | { readonly type: 'read_receipt'; readonly room_id: string; readonly message_id: string }
  | { readonly type: 'mark_room_read'; readonly room_id: string }
  | { readonly type: 'ping'; readonly n: number }
  | { readonly type: 'auth'; readonly token: string }
