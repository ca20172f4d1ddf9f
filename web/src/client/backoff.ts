/** Exponential back-off with jitter. */

/**
 * Returns the delay before retry number `attempt` (0 is the first), in milliseconds.
 *
 * Half of the delay is fixed and half is random: clients that a restart has disconnected together do not
 * reconnect together, and none reconnects immediately.
 */
export function backoffMs(attempt: number, random: () => number, base_ms = 500, cap_ms = 30_000): number {
  const span_ms = Math.min(cap_ms, base_ms * 2 ** Math.min(attempt, 16))
  return span_ms / 2 + (random() * span_ms) / 2
}

/** Repeats an action after growing delays until `reset` reports that it has succeeded. */
export class RetryTimer {
  #attempt = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #action: () => void
  #random: () => number

  constructor(action: () => void, random: () => number = Math.random) {
    this.#action = action
    this.#random = random
  }

  get scheduled(): boolean {
    return this.#timer !== undefined
  }

  /** Schedules the next attempt, in `floor_ms` at the earliest. */
  schedule(floor_ms = 0): void {
    clearTimeout(this.#timer)
    const wait_ms = Math.max(floor_ms, backoffMs(this.#attempt++, this.#random, 1_000))
    this.#timer = setTimeout(() => this.runNow(), wait_ms)
  }

  /** Runs the action without waiting for the delay to end. */
  runNow(): void {
    this.cancel()
    this.#action()
  }

  /** Cancels a scheduled attempt; the next delay still grows. */
  cancel(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Cancels a scheduled attempt and starts over with the shortest delay. */
  reset(): void {
    this.#attempt = 0
    this.cancel()
  }
}
