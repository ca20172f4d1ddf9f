/** The address of the page: `/chat/` for the list, `/chat/r/<room>` for a room. */

const HOME = '/chat/'
const ROOM = /^\/chat\/r\/([0-9a-f-]{36})\/?$/i

export class Route {
  /** Steps that this page has put on the history, so that "back" may take one away. */
  #depth = 0
  #shown = ''
  /** Closes what lies beside the room and has a step of its own on the history. */
  #close: (() => void) | null = null

  constructor(private readonly onRoom: (id: string) => void) {
    this.#shown = this.room
    addEventListener('popstate', this.#popped)
  }

  /** The room in the address, or an empty string. */
  get room(): string {
    return ROOM.exec(location.pathname)?.[1] ?? ''
  }

  /** Puts a room, or the list, into the address. */
  show(id: string): void {
    this.#shown = id
    if (id === this.room) return
    const path = pathOf(id)
    // From room to room the step is replaced: "back" leads to the list.
    if (this.room || !id) history.replaceState({ chat: this.#depth }, '', path)
    else history.pushState({ chat: ++this.#depth }, '', path)
  }

  /** Goes back to the list; false when that is no step back, and the caller has to show it. */
  leave(): boolean {
    if (this.#depth > 0) {
      history.back()
      return true
    }
    this.show('')
    return false
  }

  /** Something lies beside or over the room: "back" closes it, by `close`, before it leaves the room. */
  opened(close: () => void): void {
    this.#close = close
    history.pushState({ chat: ++this.#depth }, '', location.pathname)
  }

  /** It was closed by other means: its step goes too. */
  closed(): void {
    if (!this.#close) return
    this.#close = () => {}
    history.back()
  }

  stop(): void {
    removeEventListener('popstate', this.#popped)
  }

  #popped = (event: PopStateEvent): void => {
    const state: unknown = event.state
    const depth = state !== null && typeof state === 'object' ? (state as { chat?: number }).chat : 0
    this.#depth = depth ?? 0
    if (this.#close) {
      this.#close()
      this.#close = null
      // The room may have been changed meanwhile, and the step below still has the one before.
      if (this.room !== this.#shown) history.replaceState(state, '', pathOf(this.#shown))
      return
    }
    this.#shown = this.room
    this.onRoom(this.room)
  }
}

function pathOf(id: string): string {
  return id ? `${HOME}r/${id}` : HOME
}
