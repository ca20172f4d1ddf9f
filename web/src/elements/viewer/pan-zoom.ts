/**
 * Pan and zoom by fingers, mouse and wheel. Swipes lead to the next image, or close the viewer.
 *
 * The image is moved by custom properties; completed gestures are reported to the hooks.
 */

import { isTouchDevice } from '../shared/pointer.ts'

const SCALE_MAX = 6
/** The factor of the zoom button and of a double click. */
const ZOOM_STEP = 2.5
/** A finger that moves less than this counts as resting. */
const TOLERANCE_PX = 8
/** Minimum distances of the swipes that lead to the next image and that close the viewer. */
const STEP_PX = 64
const CLOSE_PX = 96

interface Hooks {
  image(): HTMLElement | null
  stage(): HTMLElement
  /** A `step` of 1 leads to the earlier image. */
  onStep(step: 1 | -1): void
  onClose(): void
  onZoom(zoomed: boolean): void
}

interface Point {
  readonly x: number
  readonly y: number
}

export class PanZoom {
  /** The last press has moved the image, so it is not a click. */
  moved = false
  #scale = 1
  #x = 0
  #y = 0
  #pointers = new Map<number, Point>()
  #start: Point | null = null

  constructor(private readonly hooks: Hooks) {}

  /** Shows the whole image, centred. */
  reset(): void {
    this.#apply(1, 0, 0, true)
  }

  toggle(): void {
    if (this.#scale > 1) this.reset()
    else this.zoomBy(ZOOM_STEP)
  }

  /** Zooms by a factor around a point of the viewport, or around the centre. */
  zoomBy(factor: number, around?: Point, animate = true): void {
    const scale = Math.max(1, Math.min(SCALE_MAX, this.#scale * factor))
    const { left, top, width, height } = this.hooks.stage().getBoundingClientRect()
    const x = around ? around.x - left - width / 2 : 0
    const y = around ? around.y - top - height / 2 : 0
    const growth = scale / this.#scale
    this.#apply(scale, x - (x - this.#x) * growth, y - (y - this.#y) * growth, animate)
  }

  onWheel = (event: WheelEvent): void => {
    event.preventDefault()
    this.zoomBy(Math.exp(-event.deltaY / 300), { x: event.clientX, y: event.clientY }, false)
  }

  /** Only for a mouse: two taps of a finger have no effect. */
  onDoubleClick = (event: MouseEvent): void => {
    if (isTouchDevice() || event.target !== this.hooks.image()) return
    if (this.#scale > 1) this.reset()
    else this.zoomBy(ZOOM_STEP, { x: event.clientX, y: event.clientY })
  }

  onDown = (event: PointerEvent): void => {
    if (event.button !== 0) return
    const at = { x: event.clientX, y: event.clientY }
    // With the first finger all others are up, even if that happened outside.
    if (event.isPrimary) {
      this.#pointers.clear()
      this.moved = false
      this.#start = at
    }
    this.#pointers.set(event.pointerId, at)
  }

  onMove = (event: PointerEvent): void => {
    const before = this.#pointers.get(event.pointerId)
    if (!before || !this.#start) return
    const at = { x: event.clientX, y: event.clientY }
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1]
    this.#pointers.set(event.pointerId, at)
    if (!this.moved && !other && distance(at, this.#start) < TOLERANCE_PX) return
    if (!this.moved) this.hooks.stage().setPointerCapture(event.pointerId)
    this.moved = true
    if (other) {
      const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 }
      this.#apply(this.#scale, this.#x + (at.x - before.x) / 2, this.#y + (at.y - before.y) / 2)
      this.zoomBy(distance(at, other) / Math.max(1, distance(before, other)), middle, false)
    } else if (this.#scale > 1) {
      this.#apply(this.#scale, this.#x + at.x - before.x, this.#y + at.y - before.y)
    } else if (event.pointerType === 'touch') {
      this.#followFinger(at)
    }
  }

  onUp = (event: PointerEvent): void => {
    const single = this.#pointers.size === 1 && this.#scale === 1 && event.pointerType === 'touch'
    this.#pointers.delete(event.pointerId)
    if (!single || !this.#start || !this.moved) return
    const delta = { x: event.clientX - this.#start.x, y: event.clientY - this.#start.y }
    const sideways = Math.abs(delta.x) > Math.abs(delta.y)
    this.reset()
    if (!sideways && delta.y > CLOSE_PX) this.hooks.onClose()
    else if (sideways && Math.abs(delta.x) > STEP_PX) this.hooks.onStep(this.#isEarlier(delta.x) ? 1 : -1)
  }

  onCancel = (event: PointerEvent): void => {
    this.#pointers.delete(event.pointerId)
    if (this.#scale === 1) this.reset()
  }

  /** A swipe in reading direction leads to the earlier image. */
  #isEarlier(delta: number): boolean {
    return delta > 0 !== this.hooks.stage().matches(':dir(rtl)')
  }

  /** Moves the whole image with the finger; moving down makes the background transparent. */
  #followFinger(at: Point): void {
    const delta = { x: at.x - this.#start!.x, y: at.y - this.#start!.y }
    const sideways = Math.abs(delta.x) > Math.abs(delta.y)
    this.#apply(1, sideways ? delta.x : 0, sideways ? 0 : Math.max(0, delta.y))
    this.#setOpacity(sideways ? 1 : 1 - Math.min(0.6, Math.max(0, delta.y) / 500))
  }

  #apply(scale: number, x: number, y: number, animate = false): void {
    const stage = this.hooks.stage()
    const wide = (stage.clientWidth * (scale - 1)) / 2
    const high = (stage.clientHeight * (scale - 1)) / 2
    const whole = scale === 1
    this.#scale = scale
    this.#x = whole ? x : Math.max(-wide, Math.min(wide, x))
    this.#y = whole ? y : Math.max(-high, Math.min(high, y))
    stage.classList.toggle('settles', animate)
    if (animate) this.#setOpacity(1)
    const style = this.hooks.image()?.style
    style?.setProperty('--x', `${this.#x}px`)
    style?.setProperty('--y', `${this.#y}px`)
    style?.setProperty('--scale', String(scale))
    this.hooks.onZoom(scale > 1)
  }

  #setOpacity(share: number): void {
    this.hooks.stage().parentElement!.style.setProperty('--solid', String(share))
  }
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y)
}
