/** Typing signals of one room: when to send the user's own, and who else is typing. */

/** A signal is repeated to the server at most this often. */
const REPEAT_MS = 2_500
/** Another user's signal expires after this time. */
const EXPIRY_MS = 7_000

export class TypingSignals {
  /** The names of the users who are typing, by user id. */
  names: ReadonlyMap<number, string> = new Map()
  #sent_ms = 0
  #timers = new Map<number, ReturnType<typeof setTimeout>>()
  #onChange: () => void

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** Whether the user's own signal is due; if so, it counts as sent. */
  isDue(is_typing: boolean): boolean {
    const now_ms = Date.now()
    if (is_typing ? now_ms - this.#sent_ms < REPEAT_MS : this.#sent_ms === 0) return false
    this.#sent_ms = is_typing ? now_ms : 0
    return true
  }

  /** Sending a message ends the user's own signal. */
  onSend(): void {
    this.#sent_ms = 0
  }

  start(user: number, name: string): void {
    clearTimeout(this.#timers.get(user))
    this.names = new Map(this.names).set(user, name)
    this.#onChange()
    this.#timers.set(
      user,
      setTimeout(() => this.stop(user), EXPIRY_MS),
    )
  }

  stop(user: number): void {
    clearTimeout(this.#timers.get(user))
    if (!this.names.has(user)) return
    const names = new Map(this.names)
    names.delete(user)
    this.names = names
    this.#onChange()
  }

  /** Cancels all timers. */
  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
  }
}
