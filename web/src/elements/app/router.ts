/**
 * Browser history: `/chat/` is the list, `/chat/r/<room>` is a room, `/chat/r/<room>/<seq>` one of its messages, and
 * `/chat/#invitation=<token>` an invitation.
 */

const LIST_PATH = '/chat/'
const INVITATION = /^#invitation=(\w+)$/
const ROOM_PATH = /^\/chat\/r\/([0-9a-f-]{36})(?:\/(\d+))?\/?$/i

export class Router {
  /** Number of history entries that this page has added. */
  #depth = 0
  /** The room that is shown. */
  #current = ''
  /** Closes the sidebar, which has a history entry of its own. */
  #closeSidebar: (() => void) | null = null

  /** `onRoom` is called when the user goes back or forward; `seq` is 0 unless the address is a message's. */
  constructor(private readonly onRoom: (id: string, seq: number) => void) {
    this.#current = this.room
    addEventListener('popstate', this.#onPopstate)
  }

  /** The room in the address, or an empty string for the list. */
  get room(): string {
    return ROOM_PATH.exec(location.pathname)?.[1] ?? ''
  }

  /** The message in the address, or 0. */
  get seq(): number {
    return Number(ROOM_PATH.exec(location.pathname)?.[2] ?? 0)
  }

  /** The token of an invitation in the address, or an empty string. */
  get invitation(): string {
    return INVITATION.exec(location.hash)?.[1] ?? ''
  }

  /** Takes the token out of the address, so that it is not used twice. */
  leaveInvitation(): void {
    if (this.invitation) history.replaceState(history.state, '', location.pathname)
  }

  /** Replaces the address of a message, which is being shown, by its room's: a reload stays where it is. */
  leaveMessage(): void {
    if (this.seq) history.replaceState(history.state, '', pathOf(this.room))
  }

  /** Changes the address to a room, or to the list. */
  show(id: string): void {
    this.#current = id
    if (id === this.room) return
    const path = pathOf(id)
    // Switching between rooms replaces the entry, so that "back" leads to the list.
    if (this.room || !id) history.replaceState({ chat: this.#depth }, '', path)
    else history.pushState({ chat: ++this.#depth }, '', path)
  }

  /** Goes back to the list. Returns false if there is no entry to go back to: the caller then shows the list. */
  back(): boolean {
    if (this.#depth > 0) {
      history.back()
      return true
    }
    this.show('')
    return false
  }

  /** Adds an entry for the sidebar: "back" closes it, by `close`, before it leaves the room. */
  sidebarOpened(close: () => void): void {
    this.#closeSidebar = close
    history.pushState({ chat: ++this.#depth }, '', location.pathname)
  }

  /** Removes the entry of a sidebar that has been closed by other means. */
  sidebarClosed(): void {
    if (!this.#closeSidebar) return
    this.#closeSidebar = () => {}
    history.back()
  }

  stop(): void {
    removeEventListener('popstate', this.#onPopstate)
  }

  #onPopstate = (event: PopStateEvent): void => {
    const state: unknown = event.state
    const depth = state !== null && typeof state === 'object' ? (state as { chat?: number }).chat : 0
    this.#depth = depth ?? 0
    if (this.#closeSidebar) {
      this.#closeSidebar()
      this.#closeSidebar = null
      // The room may have changed in the meantime while the entry below still has the previous one.
      if (this.room !== this.#current) history.replaceState(state, '', pathOf(this.#current))
      return
    }
    this.#current = this.room
    this.onRoom(this.room, this.seq)
  }
}

function pathOf(id: string): string {
  return id ? `${LIST_PATH}r/${id}` : LIST_PATH
}
