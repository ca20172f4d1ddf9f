/** A finger on a message: a swipe along the line of reading answers it, a long press opens its actions. */

/** How far a swipe goes before it counts. */
const REACH_PX = 64
const PRESS_MS = 450
/** Less than this is a finger that rests. */
const SLACK_PX = 10

interface Hooks {
  moving(): { line: HTMLElement; sign: HTMLElement }
  allowed(): boolean
  swiped(): void
  pressed(x: number, y: number): void
}

export class SwipeReply {
  #start: { x: number; y: number; id: number } | null = null
  #swiping = false
  #way = 0
  #press: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly host: HTMLElement,
    /** The touch that brought this here. */
    first: PointerEvent,
    private readonly hooks: Hooks,
  ) {
    host.addEventListener('pointerdown', event => this.#down(event))
    host.addEventListener('pointermove', event => this.#move(event))
    host.addEventListener('pointerup', () => this.#up())
    host.addEventListener('pointercancel', () => this.#reset())
    // It may be up again: this was still loading.
    if (isDown(host, first)) this.#down(first)
  }

  #down(event: PointerEvent): void {
    if (event.pointerType !== 'touch' || !event.isPrimary || !this.hooks.allowed()) return
    this.#start = { x: event.clientX, y: event.clientY, id: event.pointerId }
    this.#press = setTimeout(() => {
      this.#reset()
      navigator.vibrate?.(8)
      this.hooks.pressed(event.clientX, event.clientY)
    }, PRESS_MS)
  }

  #move(event: PointerEvent): void {
    if (!this.#start || event.pointerId !== this.#start.id) return
    const ahead = this.host.matches(':dir(rtl)') ? -1 : 1
    const dx = (event.clientX - this.#start.x) * ahead
    const dy = event.clientY - this.#start.y
    if (Math.hypot(dx, dy) > SLACK_PX) clearTimeout(this.#press)
    if (!this.#swiping) {
      if (Math.abs(dy) > SLACK_PX) this.#start = null
      if (dx < SLACK_PX || dx < Math.abs(dy) || !this.#start) return
      this.#swiping = true
      this.host.setPointerCapture(event.pointerId)
    }
    this.#way = dx < REACH_PX ? Math.max(0, dx) : REACH_PX + (dx - REACH_PX) / 4
    const { line, sign } = this.hooks.moving()
    line.style.transform = `translateX(${this.#way * ahead}px)`
    sign.style.opacity = String(Math.min(1, this.#way / REACH_PX))
    sign.toggleAttribute('full', this.#way >= REACH_PX)
  }

  #up(): void {
    const done = this.#swiping && this.#way >= REACH_PX
    this.#reset()
    if (done) this.hooks.swiped()
  }

  #reset(): void {
    clearTimeout(this.#press)
    this.#start = null
    this.#way = 0
    if (!this.#swiping) return
    this.#swiping = false
    const { line, sign } = this.hooks.moving()
    line.style.transform = ''
    sign.style.opacity = ''
    sign.removeAttribute('full')
  }
}

/** Whether a finger still touches: no other can be captured. */
function isDown(host: HTMLElement, { pointerId }: PointerEvent): boolean {
  try {
    host.setPointerCapture(pointerId)
    host.releasePointerCapture(pointerId)
    return true
  } catch {
    return false
  }
}
