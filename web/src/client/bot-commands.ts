/** Commands of bots: which there are in a room, and giving one. */
import type { Client } from './client.ts'
import type { Complete, Schemas } from './openapi.ts'

/** A command that one of a room's bots has. */
export type BotCommand = Complete<Schemas['BotCommand']>

/** What a user wants of a bot. */
export interface GivenCommand {
  readonly name: string
  /** What stands behind the name. */
  readonly text: string
}

/** A text that gives a command. */
const GIVEN = /^\/([a-z0-9_-]{1,32})(?:\s+(.*))?$/su
/** Commands that are read: as many as one page holds. */
const COMMANDS_MAX = 100

/** Returns the command that a text gives, if it is one of `commands`. */
export function commandIn(text: string, commands: readonly Pick<BotCommand, 'name'>[]): GivenCommand | null {
  const [, name, rest = ''] = GIVEN.exec(text) ?? []
  return name && commands.some(command => command.name === name) ? { name, text: rest } : null
}

/** Reads the commands of a room's bots. @throws ChatError */
export async function readCommands(client: Client, room: string): Promise<BotCommand[]> {
  const query = { room, page_size: COMMANDS_MAX }
  const { data } = await client.api.GET('/api/chat/commands/', { params: { query } })
  return data.results
}

/** Gives a command to the bot that has it. @throws ChatError with the code `unavailable` if the bot is away */
export async function giveCommand(client: Client, room: string, command: GivenCommand): Promise<void> {
  await client.api.POST('/api/chat/rooms/{id}/commands/', { params: { path: { id: room } }, body: command })
}
