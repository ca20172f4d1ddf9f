/**
 * Mentions in texts.
 *
 * A message names whom it mentions by ids, and its text contains the names as they were when it was sent. A name
 * that is completed has no-break spaces, so that its end can be found even when the user has another name now.
 */
import type { Participant, SentMentions, User } from '../../client/wire.ts'
import { nameOf } from '../shared/user-name.ts'

type People = ReadonlyMap<number, Participant>

/** A part of a text that mentions a user, or everyone in the room, in UTF-16 offsets. */
export interface MentionRange {
  readonly from: number
  readonly to: number
  /** Null for everyone in the room. */
  readonly user: number | null
}

/** What mentions everyone in the room. */
export const EVERYONE = 'room'
/** Users whom a message mentions; further names are only text. */
const MENTIONED_MAX = 100
/** Occurrences of `@` that are looked at; further ones are only text. */
const AT_MAX = 200
const NO_BREAK = '\u00a0'
/** After it an `@` belongs to an address. */
const WORD = /[\p{L}\p{M}\p{N}_]/u
/** With it a name goes on. */
const NAME_GOES_ON = /^[\p{L}\p{M}\p{N}_\u00a0]/u
/** A name of which only its no-break spaces are known. Punctuation at its end belongs to the sentence. */
const UNKNOWN_NAME = /@[^\s@]+(?:\u00a0[^\s@]+)*/y
const PUNCTUATION_AT_END = /[.,;:!?)\]}'"»”]+$/

/** A name that an `@` may be followed by. */
interface Name {
  readonly name: string
  readonly user: number | null
}

/** Returns the ranges of a text that mention whom its message mentions, in their order. */
export function rangesOf(
  text: string,
  { users, room }: { readonly users: readonly number[]; readonly room: boolean },
  people: People,
): MentionRange[] {
  if (users.length === 0 && !room) return []
  const known = users.flatMap(id => people.get(id)?.user ?? [])
  const places = placesIn(text)
  const ranges = matches(text, places, namesOf(known, room))
  const found = new Set(ranges.map(range => range.user))
  const renamed = users.filter(id => !found.has(id))
  return [...ranges, ...unknownNames(text, places, ranges, renamed)].toSorted((a, b) => a.from - b.from)
}

/**
 * Returns whom a text mentions: users by their full names or user names, everyone if `everyone` says that it may.
 *
 * Users in `before`, whom the message has mentioned so far, may have been renamed since, or have left.
 */
export function mentionsIn(
  text: string,
  people: Iterable<User>,
  everyone: boolean,
  before: MentionRange[] = [],
): SentMentions {
  const ranges = matches(text, placesIn(text), namesOf(people, everyone))
  const all = [...ranges, ...before].toSorted((a, b) => a.from - b.from)
  const users = new Set(all.flatMap(({ user }) => user ?? []))
  return {
    mentions: [...users].slice(0, MENTIONED_MAX),
    mention_room: all.some(({ user }) => user === null),
  }
}

/** Returns what to write for a mention of a user: the full name, or the user name if others have the same. */
export function mentionOf(user: User, people: Iterable<User>): string {
  const name = nameOf(user)
  const isAmbiguous = [...people].some(other => other.id !== user.id && isSame(nameOf(other), name))
  return `@${(isAmbiguous ? user.username : name).replaceAll(' ', NO_BREAK)}`
}

/** Returns what is being typed after an `@` that ends at `at`, and where that begins; null if there is none. */
export function typedMention(text: string, at: number): { from: number; query: string } | null {
  const match = /@((?:[^\s@]{1,40}(?: [^\s@]{0,40})?)?)$/u.exec(text.slice(Math.max(0, at - 90), at))
  if (!match) return null
  const from = at - match[0].length
  return isBoundary(text, from) ? { from, query: match[1]! } : null
}

/** Whether one of the words of a name, or what follows it, begins with what was typed; accents are ignored. */
export function beginsWith(name: string, query: string): boolean {
  const typed = folded(query)
  const whole = folded(name)
  return whole.startsWith(typed) || whole.includes(` ${typed}`)
}

function folded(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').replaceAll(NO_BREAK, ' ').toLowerCase()
}

function isSame(a: string, b: string): boolean {
  return a.replaceAll(NO_BREAK, ' ').toLowerCase() === b.replaceAll(NO_BREAK, ' ').toLowerCase()
}

/** Whether an `@` at `at` does not belong to an address such as `anna@example.org`. */
function isBoundary(text: string, at: number): boolean {
  const [before = ''] = [...text.slice(Math.max(0, at - 2), at)].slice(-1)
  return !WORD.test(before) && before !== '@'
}

/** Returns where a mention may begin. */
function placesIn(text: string): number[] {
  const places: number[] = []
  for (let at = text.indexOf('@'); at >= 0 && places.length < AT_MAX; at = text.indexOf('@', at + 1)) {
    if (isBoundary(text, at)) places.push(at)
  }
  return places
}

/** Returns the names of users, and of everyone, the longest first. */
function namesOf(users: Iterable<User>, everyone: boolean): Name[] {
  const names: Name[] = everyone ? [{ name: EVERYONE, user: null }] : []
  for (const { id, full_name, username } of users) {
    if (full_name) names.push({ name: full_name, user: id })
    names.push({ name: username, user: id })
  }
  return names.toSorted((a, b) => b.name.length - a.name.length)
}

/** Returns the ranges in which an `@` is followed by one of the names. */
function matches(text: string, places: readonly number[], names: readonly Name[]): MentionRange[] {
  return places.flatMap(from => {
    const found = names.find(({ name }) => {
      const to = from + 1 + name.length
      return isSame(text.slice(from + 1, to), name) && !NAME_GOES_ON.test(text.slice(to, to + 2))
    })
    return found ? { from, to: from + 1 + found.name.length, user: found.user } : []
  })
}

/**
 * Returns the ranges of users whose present names are not in the text: they follow each other as the ids do.
 *
 * If it is not clear which names are theirs, none is.
 */
function unknownNames(
  text: string,
  places: readonly number[],
  known: readonly MentionRange[],
  users: readonly number[],
): MentionRange[] {
  if (users.length === 0) return []
  const taken = new Set(known.map(range => range.from))
  const names = places.flatMap(from => {
    UNKNOWN_NAME.lastIndex = from
    const name = taken.has(from) ? '' : (UNKNOWN_NAME.exec(text)?.[0].replace(PUNCTUATION_AT_END, '') ?? '')
    return name.length > 1 && !isSame(name, `@${EVERYONE}`)
      ? { from, to: from + name.length, completed: name.includes(NO_BREAK) }
      : []
  })
  const completed = names.filter(name => name.completed)
  const theirs = names.length === users.length ? names : completed.length === users.length ? completed : []
  return theirs.map(({ from, to }, index) => ({ from, to, user: users[index]! }))
}
