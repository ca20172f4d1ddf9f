/**
 * The gesture that loads older messages: pulling down at the top.
 *
 * Scrolling loads them as well; the gesture helps when that has failed or is slow.
 */

/** Minimum distance of a pull. */
const THRESHOLD_PX = 64
/** Maximum distance by which the button follows the finger. */
const TRAVEL_MAX_PX = 48

interface Hooks {
  scroller(): HTMLElement | null
  loadOlder(): void
}

export class PullToLoad {
  #startY: number | null = null

  constructor(
    host: HTMLElement,
    private readonly hooks: Hooks,
  ) {
    // Touch events, because a browser that scrolls cancels the pointer.
    host.addEventListener('touchmove', event => this.#onMove(event), { passive: true })
    host.addEventListener('touchstart', event => this.#onMove(event), { passive: true })
    host.addEventListener('touchend', event => this.#onEnd(event))
    host.addEventListener('touchcancel', () => this.#finish(false))
  }

  #onMove(event: TouchEvent): void {
    const [touch] = event.touches
    if (!touch || event.touches.length > 1 || (this.hooks.scroller()?.scrollTop ?? 1) > 0) {
      this.#finish(false)
      return
    }
    this.#startY ??= touch.clientY
    this.#render(Math.min(TRAVEL_MAX_PX, Math.max(0, touch.clientY - this.#startY) / 2))
  }

  /** Uses the position at which the touch ends, because a browser that scrolls reports few moves. */
  #onEnd(event: TouchEvent): void {
    const [touch] = event.changedTouches
    this.#finish(touch !== undefined && this.#startY !== null && touch.clientY - this.#startY > THRESHOLD_PX)
  }

  #finish(complete: boolean): void {
    if (this.#startY === null) return
    this.#startY = null
    this.#render(0)
    if (complete) this.hooks.loadOlder()
  }

  #render(offset: number): void {
    const button = this.hooks.scroller()?.querySelector<HTMLElement>('.older')
    if (button) button.style.transform = offset ? `translateY(${offset}px)` : ''
  }
}
