/** Calls about how the user wants to be told, why the user was told, and where pushes go. */
import type { Client } from './client.ts'
import type { Complete, Schemas } from './openapi.ts'
import type { ListedRoom } from './wire.ts'

export type NotificationSettings = Complete<Schemas['NotificationSettings']>
export type QuietHours = Complete<Schemas['QuietHours']>
export type MessageReasons = Complete<Schemas['MessageReasons']>
export type UnreadReasons = Complete<Schemas['UnreadReasons']>
/** What is changed of the settings; null sets the default. */
export type SettingsChange = Schemas['PutNotificationSettings']
/** What a user is told of in a room. */
export type Level = 'all' | 'mentions' | 'nothing'

/** The days of a week in the order in which the server names them, from Monday on. */
export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
/** The server's limits of keywords. */
export const KEYWORDS_MAX = 20
export const KEYWORD_CHARS_MAX = 50

/** Reads the user's settings. @throws ChatError */
export async function readSettings({ api }: Client): Promise<NotificationSettings> {
  return (await api.GET('/api/chat/notifications/settings/')).data
}

/** Changes some of the settings and returns all of them. @throws ChatError */
export async function saveSettings({ api }: Client, change: SettingsChange): Promise<NotificationSettings> {
  return (await api.PUT('/api/chat/notifications/settings/', { body: change })).data
}

/** Sets what the user is told of in a room. @throws ChatError */
export async function saveLevel(client: Client, participant: number, level: Level): Promise<void> {
  const options = { params: { path: { id: participant } }, body: { level } }
  await client.api.PATCH('/api/chat/participants/{id}/', options)
  await client.loadRooms()
}

/** Returns the rooms in which the user is told of less than everything. */
export function quieterRooms(rooms: readonly ListedRoom[]): ListedRoom[] {
  return rooms.filter(room => room.is_active && (room.is_muted || (room.level ?? 'all') !== 'all'))
}

/** Returns `keywords` with another one, or null if it is empty, there already or one too many. */
export function withKeyword(keywords: readonly string[], given: string): readonly string[] | null {
  const keyword = given.trim()
  const isKnown = keywords.some(one => one.toLowerCase() === keyword.toLowerCase())
  return !keyword || isKnown || keywords.length >= KEYWORDS_MAX ? null : [...keywords, keyword]
}

/** Returns the names of all time zones that the device knows, with those of `more` that it does not list. */
export function timeZones(...more: readonly string[]): string[] {
  return [...new Set([...Intl.supportedValuesOf('timeZone'), ...more])].toSorted()
}

/** Returns the quiet hours that are offered first: at night, in the device's time zone. */
export function offeredQuietHours(): QuietHours {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
  return { from: '22:00', to: '07:00', days: [...DAYS], timezone: timeZone }
}

/** Reads why the user was told of a message, or was not. @throws ChatError */
export async function readMessageReasons({ api }: Client, id: string): Promise<MessageReasons> {
  return (await api.GET('/api/chat/messages/{id}/why/', { params: { path: { id } } })).data
}

/** Reads what makes the number of unread messages. @throws ChatError */
export async function readUnreadReasons({ api }: Client): Promise<UnreadReasons> {
  return (await api.GET('/api/chat/unread/why/')).data
}

/** What `PushSubscription.toJSON()` gives of a browser's subscription. */
export type BrowserSubscription = Schemas['AddPushSubscription']

/** Reads the key with which a browser subscribes. @throws ChatError */
export async function readPushKey({ api }: Client): Promise<string> {
  return (await api.GET('/api/chat/push/key/')).data.public_key
}

/** Has pushes sent to a browser. Returns the subscription's id. @throws ChatError */
export async function addPushSubscription({ api }: Client, body: BrowserSubscription): Promise<string> {
  return (await api.POST('/api/chat/push/subscriptions/', { body })).data.id
}

/** Ends the pushes to a browser. @throws ChatError */
export async function removePushSubscription({ api }: Client, id: string): Promise<void> {
  await api.DELETE('/api/chat/push/subscriptions/{id}/', { params: { path: { id } } })
}
