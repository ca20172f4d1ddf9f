/** The choice of rooms that the list shows. */
import type { ListedRoom } from '../../client/wire.ts'
import type { TextKey } from '../shared/texts.ts'

export type FilterName = 'all' | 'unread' | 'mentions' | 'tasks' | 'properties' | 'people'

/** Whether a room is shown. */
export const FILTERS: Readonly<Record<FilterName, (room: ListedRoom) => boolean>> = {
  all: () => true,
  unread: room => room.unread_count > 0,
  mentions: room => (room.mention_count ?? 0) > 0,
  tasks: room => room.room_type === 'task',
  properties: room => room.room_type === 'property',
  people: room => room.room_type === 'direct',
}
const FILTER_NAMES = Object.keys(FILTERS) as FilterName[]
/** The filters that are offered whatever rooms there are. */
const ALWAYS: ReadonlySet<FilterName> = new Set(['all', 'unread'])
export const FILTER_TEXT: Readonly<Record<FilterName, TextKey>> = {
  all: 'filterAll',
  unread: 'filterUnread',
  mentions: 'filterMentions',
  tasks: 'filterTasks',
  properties: 'filterProperties',
  people: 'filterPeople',
}

/** Returns the filters that are offered: those by which the user has rooms, and the current one. */
export function filtersFor(rooms: readonly ListedRoom[], current: FilterName): FilterName[] {
  return FILTER_NAMES.filter(name => name === current || ALWAYS.has(name) || rooms.some(FILTERS[name]))
}
