/** Calls about what comes at a time of the user's choice: scheduled messages and reminders. */
import type { Client } from './client.ts'
import { ChatError } from './errors.ts'
import { personalOf } from './personal.ts'
import type { Message, Reminder, ScheduledMessage } from './wire.ts'

/** What a scheduled message says. The `client_id` makes it one message, however often the call is repeated. */
export interface LaterMessage {
  readonly room: string
  readonly content: string
  readonly reply_to: string | null
  readonly client_id: string
}

/** Has a message sent at a time. @throws ChatError */
export async function schedule(client: Client, message: LaterMessage, at: Date): Promise<void> {
  const body = { ...message, at: at.toISOString() }
  const { data } = await client.api.POST('/api/chat/scheduled/', { body })
  personalOf(client).apply({ type: 'scheduled', ...data, room_id: data.room })
}

/** Changes the text or the time of a scheduled message; one that has failed waits again. @throws ChatError */
export async function reschedule(
  client: Client,
  { id }: ScheduledMessage,
  change: { readonly content?: string; readonly at?: string },
): Promise<void> {
  const options = { params: { path: { id } }, body: change }
  const { data } = await client.api.PATCH('/api/chat/scheduled/{id}/', options)
  personalOf(client).apply({ type: 'scheduled', ...data, room_id: data.room })
}

/** Withdraws a scheduled message. @throws ChatError */
export async function unschedule(client: Client, { id }: ScheduledMessage): Promise<void> {
  await client.api.DELETE('/api/chat/scheduled/{id}/', { params: { path: { id } } })
  personalOf(client).apply({ type: 'scheduled_removed', id })
}

/**
 * Sends a scheduled message now, and once: the outbox sends it by the same `client_id`, so it makes no
 * difference if the server is already sending it. @throws ChatError
 */
export async function sendNow(client: Client, scheduled: ScheduledMessage): Promise<void> {
  const { client_id, room_id, content, reply_to_id } = scheduled
  const reply_to = reply_to_id ? { id: reply_to_id } : null
  client.outbox.add({ client_id, room_id, content, reply_to, file: null, at_ms: Date.now() })
  try {
    await unschedule(client, scheduled)
  } catch (cause) {
    // It is being sent, or has been.
    if (!(cause instanceof ChatError) || ![404, 409].includes(cause.status)) throw cause
  }
}

/** Reminds the user of a message at a time. @throws ChatError */
export async function remind(client: Client, { id }: Message, at: Date): Promise<void> {
  const body = { message_id: id, at: at.toISOString() }
  const { data } = await client.api.POST('/api/chat/reminders/', { body })
  personalOf(client).apply({ type: 'reminder', ...data })
}

/** Removes a reminder, whether its time has come or not. @throws ChatError */
export async function removeReminder(client: Client, { id }: Reminder): Promise<void> {
  await client.api.DELETE('/api/chat/reminders/{id}/', { params: { path: { id } } })
  personalOf(client).apply({ type: 'reminder_removed', id })
}

const HOUR_MS = 3_600_000
const EVENING = 18
const MORNING = 9

/** A time that is offered; the texts are named after them. */
export interface OfferedTime {
  readonly text: 'inAnHour' | 'thisEvening' | 'tomorrowMorning'
  readonly at: Date
}

/** Returns the times that are offered, in the device's time zone. An evening that is near or over is left out. */
export function offeredTimes(now: Date): OfferedTime[] {
  const at = (days: number, hour: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour)
  const evening = at(0, EVENING)
  const hour = new Date(now.getTime() + HOUR_MS)
  return [
    { text: 'inAnHour', at: hour },
    ...(evening > hour ? [{ text: 'thisEvening', at: evening } as const] : []),
    { text: 'tomorrowMorning', at: at(1, MORNING) },
  ]
}

/** Returns a time in the form of an input for date and time, in the device's time zone. */
export function inputTime(at: Date): string {
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 16)
}
