/** Searches for users and messages. */
import type { Client } from './client.ts'
import type { HasFilter, SearchHit, User } from './wire.ts'

/** Minimum number of letters of a message search. */
const QUERY_MIN = 2
/** In these scripts one character is a word, or nearly one. */
const WORDLIKE = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/u

/** What messages have to be to be found, besides containing the term. */
export interface SearchFilters {
  /** The id of the sender. */
  readonly from?: string | undefined
  readonly room?: string | undefined
  readonly has?: HasFilter | undefined
  /** Dates. */
  readonly before?: string | undefined
  readonly after?: string | undefined
}

/** Whether `term` is long enough for a message search. */
export function isSearchable(term: string): boolean {
  return [...term].length >= QUERY_MIN || WORDLIKE.test(term)
}

/** Finds users by name, and no integrations: nobody adds these to a room. @throws ChatError */
export async function findUsers(client: Client, search: string, page_size = 50): Promise<User[]> {
  const { data } = await client.api.GET('/api/chat/users/', { params: { query: { search, page_size } } })
  return data.results.filter(({ kind }) => kind !== 'integration')
}

/** Finds messages, in all rooms or in one. @throws ChatError */
export async function findMessages(client: Client, q: string, filters: SearchFilters): Promise<SearchHit[]> {
  const query = { ...filters, q, page_size: filters.room ? 50 : 20 }
  const { data } = await client.api.GET('/api/chat/messages/search/', { params: { query } })
  return data.results
}
