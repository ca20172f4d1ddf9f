/**
 * Pulling at the top for what is older.
 *
 * Older messages come by themselves as one scrolls; the gesture is for when reading them failed, or is slow.
 */

/** Pulled further than this, it counts. */
const REACH_PX = 64
/** The sign follows the finger no further than this. */
const FOLLOW_PX = 48

interface Hooks {
  scroller(): HTMLElement | null
  older(): void
}

export class Pull {
  #from: number | null = null

  constructor(
    host: HTMLElement,
    private readonly hooks: Hooks,
  ) {
    // Touch and not pointer events: a browser that scrolls takes the pointer away.
    host.addEventListener('touchmove', event => this.#move(event), { passive: true })
    host.addEventListener('touchstart', event => this.#move(event), { passive: true })
    host.addEventListener('touchend', event => this.#lift(event))
    host.addEventListener('touchcancel', () => this.#end(false))
  }

  #move(event: TouchEvent): void {
    const [finger] = event.touches
    if (!finger || event.touches.length > 1 || (this.hooks.scroller()?.scrollTop ?? 1) > 0) {
      this.#end(false)
      return
    }
    this.#from ??= finger.clientY
    this.#draw(Math.min(FOLLOW_PX, Math.max(0, finger.clientY - this.#from) / 2))
  }

  /** Where the finger leaves counts: on the way there a browser that scrolls tells little. */
  #lift(event: TouchEvent): void {
    const [finger] = event.changedTouches
    this.#end(finger !== undefined && this.#from !== null && finger.clientY - this.#from > REACH_PX)
  }

  #end(far: boolean): void {
    if (this.#from === null) return
    this.#from = null
    this.#draw(0)
    if (far) this.hooks.older()
  }

  #draw(way: number): void {
    const sign = this.hooks.scroller()?.querySelector<HTMLElement>('.older')
    if (sign) sign.style.transform = way ? `translateY(${way}px)` : ''
  }
}
