/** Touch gestures on a message: a swipe in reading direction replies, a long press opens the actions. */
import type { MessageRow } from './rows.ts'

/** Minimum distance of a swipe. */
const THRESHOLD_PX = 64
const LONG_PRESS_MS = 450
/** A finger that moves less than this counts as resting. */
const TOLERANCE_PX = 10

interface Hooks {
  parts(): { line: HTMLElement; icon: HTMLElement }
  row(): MessageRow
  onSwipe(): void
  onLongPress(x: number, y: number): void
}

export class SwipeReply {
  #start: { x: number; y: number; id: number } | null = null
  #swiping = false
  #distance = 0
  #longPress: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly host: HTMLElement,
    /** The touch that has loaded the gestures. */
    first: PointerEvent,
    private readonly hooks: Hooks,
  ) {
    host.addEventListener('pointerdown', event => this.#onDown(event))
    host.addEventListener('pointermove', event => this.#onMove(event))
    host.addEventListener('pointerup', () => this.#onUp())
    host.addEventListener('pointercancel', () => this.#reset())
    // It may have ended while the gestures were loading.
    if (isTouching(host, first)) this.#onDown(first)
  }

  #onDown(event: PointerEvent): void {
    if (event.pointerType !== 'touch' || !event.isPrimary || this.hooks.row().message.is_deleted) return
    this.#start = { x: event.clientX, y: event.clientY, id: event.pointerId }
    this.#longPress = setTimeout(() => {
      this.#reset()
      navigator.vibrate?.(8)
      this.hooks.onLongPress(event.clientX, event.clientY)
    }, LONG_PRESS_MS)
  }

  #onMove(event: PointerEvent): void {
    if (!this.#start || event.pointerId !== this.#start.id) return
    const direction = this.host.matches(':dir(rtl)') ? -1 : 1
    const dx = (event.clientX - this.#start.x) * direction
    const dy = event.clientY - this.#start.y
    if (Math.hypot(dx, dy) > TOLERANCE_PX) clearTimeout(this.#longPress)
    if (!this.#swiping) {
      if (Math.abs(dy) > TOLERANCE_PX) this.#start = null
      if (dx < TOLERANCE_PX || dx < Math.abs(dy) || !this.#start || this.hooks.row().pending) return
      this.#swiping = true
      this.host.setPointerCapture(event.pointerId)
    }
    this.#distance = dx < THRESHOLD_PX ? Math.max(0, dx) : THRESHOLD_PX + (dx - THRESHOLD_PX) / 4
    const { line, icon } = this.hooks.parts()
    line.style.transform = `translateX(${this.#distance * direction}px)`
    icon.style.opacity = String(Math.min(1, this.#distance / THRESHOLD_PX))
    icon.toggleAttribute('full', this.#distance >= THRESHOLD_PX)
  }

  #onUp(): void {
    const complete = this.#swiping && this.#distance >= THRESHOLD_PX
    this.#reset()
    if (complete) this.hooks.onSwipe()
  }

  #reset(): void {
    clearTimeout(this.#longPress)
    this.#start = null
    this.#distance = 0
    if (!this.#swiping) return
    this.#swiping = false
    const { line, icon } = this.hooks.parts()
    line.style.transform = ''
    icon.style.opacity = ''
    icon.removeAttribute('full')
  }
}

/** Whether the pointer is still down: only then can it be captured. */
function isTouching(host: HTMLElement, { pointerId }: PointerEvent): boolean {
  try {
    host.setPointerCapture(pointerId)
    host.releasePointerCapture(pointerId)
    return true
  } catch {
    return false
  }
}
