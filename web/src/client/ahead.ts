/**
 * Reads the rooms of the top of the list before somebody opens them, so that they are there without a line.
 *
 * A room is opened and closed as a view does it: what is kept of it goes on from where it ended, which costs
 * the server a replay of what is new and nothing where nothing is. One room at a time, and slowly.
 */
import type { Client } from './client.ts'
import type { Room } from './room.ts'
import type { ListRoom } from './wire.ts'

/** Rooms read ahead. */
const ROOMS_MAX = 12
/** Before the first one: those who come back together don't read together. */
const FIRST_MS = 3_000
const SPREAD_MS = 7_000
/** Between two. */
const STEP_MS = 500
/** A room that isn't there by then is left. */
const PATIENCE_MS = 10_000

export class Ahead {
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Which state of a room has been read ahead: the time of its last message. */
  #read = new Map<string, string>()
  #open = false

  constructor(
    private readonly client: Client,
    private readonly signal: AbortSignal,
  ) {
    client.addEventListener('change', () => this.#look(), { signal })
    signal.addEventListener('abort', () => clearTimeout(this.#timer))
    this.#look()
  }

  /** Begins once for each line. */
  #look(): void {
    const open = this.client.state === 'open' && this.client.inbox.loaded
    if (open === this.#open) return
    this.#open = open
    clearTimeout(this.#timer)
    if (open) this.#timer = setTimeout(() => void this.#go(), FIRST_MS + this.client.random() * SPREAD_MS)
  }

  async #go(): Promise<void> {
    const rooms = this.client.inbox.rooms.filter(room => room.is_active).slice(0, ROOMS_MAX)
    for (const room of rooms) {
      if (this.signal.aborted || !this.#open) return
      if (this.#read.get(room.id) === room.last_message_time || (await this.#has(room))) continue
      if (!(await this.#take(room))) return
      this.#read.set(room.id, room.last_message_time)
      await new Promise(done => setTimeout(done, STEP_MS))
    }
  }

  /** Whether what is kept of a room reaches as far as the list knows. */
  async #has(room: ListRoom): Promise<boolean> {
    const kept = await this.client.cache.room(room.id)
    const last = kept?.timeline.entries.findLast(entry => entry.kind === 'message')
    return (
      last?.kind === 'message' && Date.parse(last.message.created_at) >= Date.parse(room.last_message_time)
    )
  }

  /** Reads one room; false when that failed, and the others had better wait for the next line. */
  async #take({ id }: ListRoom): Promise<boolean> {
    const room = this.client.room(id)
    room.open()
    const read = await settled(room)
    room.close()
    return read
  }
}

function settled(room: Room): Promise<boolean> {
  return new Promise(done => {
    const end = (read: boolean) => {
      clearTimeout(timer)
      room.removeEventListener('change', look)
      done(read)
    }
    const look = () => {
      if (room.view.timeline || room.view.gone) end(true)
      else if (room.view.error) end(false)
    }
    const timer = setTimeout(() => end(false), PATIENCE_MS)
    room.addEventListener('change', look)
    look()
  })
}
