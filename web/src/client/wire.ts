/** The objects and frames of the wire protocol. Types only. */
import type { Complete, Schemas } from './openapi.ts'

/** A user. `email` is empty unless the caller is the user, staff or a service; frames leave it out. */
export type User = Readonly<Omit<Schemas['User'], 'email'>> & { readonly email?: string }

export type RoomType = Schemas['RoomTypeParam']
export type MessageType = Schemas['MessageTypeParam']

/** A shortened copy of the message that a reply refers to; the `id` alone where not everyone may see that one. */
export type Quote = Pick<Complete<Schemas['Quote']>, 'id'> & Partial<Complete<Schemas['Quote']>>

/** A message as REST returns it to one caller. */
export type RestMessage = Omit<Complete<Schemas['Message']>, 'reply_to'> & { readonly reply_to: Quote | null }

/** What a search can ask messages to have; `file` is any attachment. */
export type HasFilter = 'image' | 'file' | 'link'

/** A message that a search has found. */
export type SearchHit = RestMessage & {
  /** The parts of its text that were found, in code points. Older servers do not send them. */
  readonly highlights?: readonly { readonly start: number; readonly end: number }[]
}

/** A message that the user has saved. */
export type SavedMessage = RestMessage & { readonly saved_at: string }

/** Fields of a message that depend on the caller and are absent from frames. */
type CallerField = 'room' | 'is_read' | 'read_count' | 'read_by' | 'modified_at' | 'deleted_at'

/** All reactions to a message with one emoji. Frames leave out whether the caller's is among them. */
export type Reaction = Omit<Complete<Schemas['Reaction']>, 'mine' | 'users'> & {
  readonly users: readonly number[]
  readonly mine?: boolean
}

/** What a checklist asks for, and who has done it. */
export type ChecklistItem = Complete<Schemas['ChecklistItem']>

/** A choice of a poll. Frames leave out whether the caller has voted for it. */
export type PollChoice = Omit<Complete<Schemas['PollChoice']>, 'mine'> & { readonly mine?: boolean }

/** The card of a message. Only a poll has the last three fields. */
export type Card = Omit<Complete<Schemas['Card']>, 'choices' | 'multiple' | 'closed'> & {
  readonly choices?: readonly PollChoice[] | null
  readonly multiple?: boolean | null
  readonly closed?: boolean | null
}

/** The thread of a message. Frames leave out how many replies the caller has not read. */
export type Thread = Omit<Complete<Schemas['Thread']>, 'unread'> & { readonly unread?: number | null }

type PictureField = 'width' | 'height' | 'preview'

/** A file of a message. Only pictures have a size, and only large ones a preview. */
export type Attachment = Omit<Complete<Schemas['Attachment']>, PictureField> &
  Partial<Pick<Complete<Schemas['Attachment']>, PictureField>>

/** Fields of what messages carry beside text and file. Older servers leave them out, and so do unsent messages. */
type ExtraField =
  | 'reactions'
  | 'mentions'
  | 'forwarded'
  | 'thread'
  | 'in_timeline'
  | 'pinned_at'
  | 'pinned_by'
  | 'attachments'
  | 'card'
  | 'urgent'

/** A message as frames carry it. REST returns the same fields, and some that depend on the caller. */
export type Message = Omit<RestMessage, CallerField | 'sender' | 'removed_by' | ExtraField> &
  Partial<
    Pick<
      RestMessage,
      Exclude<Extract<keyof RestMessage, ExtraField>, 'reactions' | 'card' | 'thread' | 'attachments'>
    >
  > & {
    readonly room_id: string
    readonly reactions?: readonly Reaction[]
    readonly attachments?: readonly Attachment[]
    readonly card?: Card | null
    readonly thread?: Thread | null
    readonly sender: User
    /** For a deleted message, whether its author or a moderator removed it. */
    readonly removed_by?: string | null
  }

type RestParticipant = Complete<Schemas['Participant']>
type OwnField = 'is_muted' | 'muted_until' | 'unread_count' | 'last_read_at' | 'level' | 'favourite'

/** A participant of a room. Frames leave out the fields that only the participant sees. */
export type Participant = Omit<RestParticipant, OwnField | 'user'> &
  Partial<Pick<RestParticipant, OwnField>> & { readonly user: User }

/** A room as REST returns it by its id. */
export type RestRoom = Complete<Schemas['Room']>

export type RoomSettings = Complete<Schemas['RoomSettings']>

/** The part of a room that a `room_updated` frame contains. Older servers send no settings. */
export type RoomInfo = Pick<
  RestRoom,
  'id' | 'name' | 'room_type' | 'task' | 'property' | 'title' | 'is_active' | 'archived_at' | 'modified_at'
> &
  Partial<RoomSettings>

/** A room in the room list. */
export type ListedRoom = Complete<Schemas['ListedRoom']> & {
  /** The other user of a direct room. Older servers do not send it, nor the following. */
  readonly partner?: User | null
  readonly favourite?: boolean
  /** The number of unread messages that mention the user. */
  readonly mention_count?: number
}

/** The position up to which one user has read a room. */
export interface ReadMark {
  readonly user_id: number
  readonly seq: number
  readonly read_at: string | null
}

/** Whom a message mentions, as it is sent. */
export interface SentMentions {
  readonly mentions: number[]
  /** It mentions everyone in the room. */
  readonly mention_room: boolean
}

/** A message has been pinned, or is no longer. */
export interface PinChange {
  readonly pinned: boolean
  readonly pinned_at: string | null
  /** Null for the host application. */
  readonly pinned_by: number | null
}

/** A user has acknowledged an urgent message. */
export interface Acknowledgement {
  readonly user_id: number
  readonly at: string
}

/** A user has added an emoji to a message, or removed it. */
export interface ReactionChange {
  readonly user_id: number
  readonly emoji: string
  readonly added: boolean
}

/** The durable events of a room, each with its sequence number. */
export type EventFrame = { readonly room_id: string; readonly seq: number } & (
  | { readonly type: 'chat_message'; readonly message: Message }
  | { readonly type: 'message_updated'; readonly message: Message }
  | {
      readonly type: 'message_deleted'
      readonly message_id: string
      readonly removed_by?: string
      /** The thread after the deletion of a reply. */
      readonly thread?: Thread
    }
  | ({ readonly type: 'reaction'; readonly message_id: string } & ReactionChange)
  | ({ readonly type: 'message_pinned'; readonly message_id: string } & PinChange)
  | ({ readonly type: 'message_acknowledged'; readonly message_id: string } & Acknowledgement)
  | {
      readonly type: 'card_changed'
      readonly message_id: string
      readonly rev: number
      readonly card: Card | null
    }
  | {
      readonly type: 'card_action'
      readonly message_id: string
      /** The button's id. */
      readonly action: string
      readonly user_id: number
    }
  | { readonly type: 'participant_joined'; readonly participant: Participant }
  | { readonly type: 'participant_left'; readonly participant: Participant }
  | { readonly type: 'participant_updated'; readonly participant: Participant }
  | { readonly type: 'room_updated'; readonly room: RoomInfo }
)

/** An event of a kind that this client does not know. It still advances the sequence. */
export interface UnknownEvent {
  readonly type: string
  readonly room_id: string
  readonly seq: number
}

export type LogEvent = EventFrame | UnknownEvent

/** The subscription to a room has been accepted. */
export interface SubscribedFrame {
  readonly type: 'subscribed'
  readonly seq: number
  readonly epoch: string
  readonly unread_count: number
  /** What the user may do in the room. Older servers do not send it. */
  readonly capabilities?: readonly string[]
  /** From when on slow mode lets the user write. */
  readonly next_post_at?: string | null
}

/** Frames about a room other than its events. */
export type RoomFrame = { readonly room_id: string } & (
  | SubscribedFrame
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
  | { readonly type: 'read_state'; readonly marks: ReadMark[] }
  | {
      readonly type: 'presence'
      readonly user_id: number
      readonly status: 'online' | 'offline'
      readonly last_seen: string | null
    }
  | { readonly type: 'presence_state'; readonly online: number[] }
  | {
      /** What a bot answers to this user alone. */
      readonly type: 'command_answer'
      readonly name: string
      readonly user_id: number
      readonly content: string
    }
  | {
      readonly type: 'ack'
      readonly client_id: string
      readonly message_id: string
      readonly seq: number
      readonly created_at: string
      readonly duplicate: boolean
    }
)

/** A change to a room's row in the list. */
export interface InboxFrame {
  readonly type: 'inbox'
  readonly room_id: string
  readonly unread_count: number
  readonly total_unread: number
  readonly last_message_preview: string
  readonly last_message_time: string
  readonly display_name: string
  readonly last_message_sender: User | null
  /** The other user of a direct room. */
  readonly partner: User | null
  readonly is_active: boolean
  readonly is_muted: boolean
  readonly mention_count?: number
}

/** A room has been removed from the list. */
export interface RoomRemovedFrame {
  readonly type: 'room_removed'
  readonly room_id: string
  readonly total_unread: number
}

/** The user's draft in a room, as a device has stored it. An empty one has ended. */
export interface DraftFrame {
  readonly type: 'draft'
  readonly room_id: string
  readonly content: string
  readonly reply_to_id?: string | null
  readonly updated_at: string
}

/** A message that the user is reminded of; `fired_at` is set once that has happened. */
export interface Reminder {
  readonly id: string
  readonly message_id: string
  readonly room_id: string
  readonly at: string
  readonly fired_at: string | null
}

/** A message that the server sends later. */
export interface ScheduledMessage {
  readonly id: string
  readonly room_id: string
  readonly content: string
  readonly reply_to_id: string | null
  readonly at: string
  readonly client_id: string
  readonly state: string
  /** Why it has failed. */
  readonly error: string | null
}

/** What the user alone sees, after a change. */
export type PersonalFrame =
  | ({ readonly type: 'reminder' } & Reminder)
  | { readonly type: 'reminder_removed'; readonly id: string }
  | ({ readonly type: 'scheduled' } & ScheduledMessage)
  | { readonly type: 'scheduled_removed'; readonly id: string }
  | {
      readonly type: 'saved'
      readonly message_id: string
      readonly room_id: string | null
      readonly saved_at: string | null
    }

export interface ErrorFrame {
  readonly type: 'error'
  readonly code?: string
  readonly message: string
  readonly room_id?: string
  readonly client_id?: string
  readonly retry_after?: number
}

/** What the user is told of. Its `seq` is that of the message, which comes in a frame of its own. */
export interface NotificationFrame {
  readonly type: 'notification'
  readonly id: string
  readonly kind: string
  readonly room_id: string
  readonly seq: number
  readonly message_id: string
  readonly title: string
  readonly body: string
  readonly urgent: boolean
}

/** Frames about the user or the connection. */
export type UserFrame =
  | InboxFrame
  | DraftFrame
  | NotificationFrame
  | { readonly type: 'notification_gone'; readonly ids: readonly string[] }
  | ErrorFrame
  | {
      readonly type: 'connection_established'
      readonly user_id: number
      readonly username: string
      readonly unread_count: number
      readonly protocol: number
    }
  | { readonly type: 'room_added'; readonly room: RoomInfo }
  | RoomRemovedFrame
  | { readonly type: 'pong'; readonly n?: number }
  | { readonly type: 'auth_ok'; readonly expires_at: string }
  | { readonly type: 'going_away'; readonly retry_after: number }

export type ServerFrame = EventFrame | RoomFrame | UserFrame

/** Further fields of a message that is sent. */
export interface OutgoingExtras {
  /** The message that it is a reply to in a thread, and whether it stands in the room's timeline as well. */
  readonly thread_root?: string
  readonly in_timeline?: boolean
  readonly card?: Schemas['SendCard']
  /** It is urgent, and perhaps to be acknowledged by a certain time. */
  readonly urgent?: { readonly ack_by?: string }
}

/** A change of a message by anyone who sees it: a reaction, a tick on a checklist, or a vote. */
export type OutgoingChange = { readonly message_id: string; readonly on: boolean } & (
  | { readonly type: 'react'; readonly emoji: string }
  | { readonly type: 'card'; readonly item: string }
  | { readonly type: 'card'; readonly choice: string }
)

/** Frames that the client sends. */
export type ClientFrame =
  | { readonly type: 'subscribe'; readonly room_id: string; readonly since?: number; readonly epoch?: string }
  | { readonly type: 'unsubscribe'; readonly room_id: string }
  | ({
      readonly type: 'chat_message'
      readonly room_id: string
      readonly message: string
      readonly reply_to?: string
      readonly client_id: string
    } & OutgoingExtras &
      Partial<SentMentions>)
  | ({ readonly room_id: string; readonly client_id: string } & OutgoingChange)
  | { readonly type: 'typing'; readonly room_id: string; readonly is_typing: boolean }
  | { readonly type: 'read_receipt'; readonly room_id: string; readonly message_id: string }
  | { readonly type: 'mark_room_read'; readonly room_id: string }
  | { readonly type: 'ping'; readonly n: number }
  | { readonly type: 'auth'; readonly token: string }
