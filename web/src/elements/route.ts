/** The address of the page: `/chat/` for the list, `/chat/r/<room>` for a room. */

const HOME = '/chat/'
const ROOM = /^\/chat\/r\/([0-9a-f-]{36})\/?$/i

export class Route {
  /** Steps that this page has put on the history, so that "back" may take one away. */
  #depth = 0

  constructor(private readonly onRoom: (id: string) => void) {
    addEventListener('popstate', this.#popped)
  }

  /** The room in the address, or an empty string. */
  get room(): string {
    return ROOM.exec(location.pathname)?.[1] ?? ''
  }

  /** Puts a room, or the list, into the address. */
  show(id: string): void {
    if (id === this.room) return
    const path = id ? `${HOME}r/${id}` : HOME
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

  stop(): void {
    removeEventListener('popstate', this.#popped)
  }

  #popped = (event: PopStateEvent): void => {
    const state: unknown = event.state
    const depth = state !== null && typeof state === 'object' ? (state as { chat?: number }).chat : 0
    this.#depth = depth ?? 0
    this.onRoom(this.room)
  }
}
