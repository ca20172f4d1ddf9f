/**
 * A picture under fingers, mouse and wheel: closer and about, to the next one, or away by a pull downward.
 *
 * It moves the picture by custom properties; what a gesture comes to is told by the hooks.
 */

const SCALE_MAX = 6
/** What one press of the button, or a double click, comes to. */
const CLOSER = 2.5
/** Moved less than this, a finger rests. */
const SLACK_PX = 8
/** Sideways this far is the next picture, downward that far is away. */
const STEP_PX = 64
const CLOSE_PX = 96

interface Hooks {
  picture(): HTMLElement | null
  stage(): HTMLElement
  /** `1` is the picture before in time. */
  step(step: 1 | -1): void
  close(): void
  zoomed(zoomed: boolean): void
}

interface Point {
  readonly x: number
  readonly y: number
}

export class Glass {
  /** The last press moved something, so it is no click. */
  moved = false
  #scale = 1
  #x = 0
  #y = 0
  #down = new Map<number, Point>()
  #start: Point | null = null

  constructor(private readonly hooks: Hooks) {}

  /** Whole and in the middle. */
  reset(): void {
    this.#put(1, 0, 0, true)
  }

  toggle(): void {
    if (this.#scale > 1) this.reset()
    else this.by(CLOSER)
  }

  /** Closer by a factor, about a point of the screen or the middle. */
  by(factor: number, about?: Point, settles = true): void {
    const scale = Math.max(1, Math.min(SCALE_MAX, this.#scale * factor))
    const { left, top, width, height } = this.hooks.stage().getBoundingClientRect()
    const x = about ? about.x - left - width / 2 : 0
    const y = about ? about.y - top - height / 2 : 0
    const grown = scale / this.#scale
    this.#put(scale, x - (x - this.#x) * grown, y - (y - this.#y) * grown, settles)
  }

  wheel = (event: WheelEvent): void => {
    event.preventDefault()
    this.by(Math.exp(-event.deltaY / 300), { x: event.clientX, y: event.clientY }, false)
  }

  /** A mouse's alone: for a finger two taps are two taps. */
  double = (event: MouseEvent): void => {
    if (matchMedia('(pointer: coarse)').matches || event.target !== this.hooks.picture()) return
    if (this.#scale > 1) this.reset()
    else this.by(CLOSER, { x: event.clientX, y: event.clientY })
  }

  down = (event: PointerEvent): void => {
    if (event.button !== 0) return
    const at = { x: event.clientX, y: event.clientY }
    // The first finger: what is still noted of others went up elsewhere.
    if (event.isPrimary) {
      this.#down.clear()
      this.moved = false
      this.#start = at
    }
    this.#down.set(event.pointerId, at)
  }

  move = (event: PointerEvent): void => {
    const before = this.#down.get(event.pointerId)
    if (!before || !this.#start) return
    const at = { x: event.clientX, y: event.clientY }
    const other = [...this.#down].find(([id]) => id !== event.pointerId)?.[1]
    this.#down.set(event.pointerId, at)
    if (!this.moved && !other && apart(at, this.#start) < SLACK_PX) return
    if (!this.moved) this.hooks.stage().setPointerCapture(event.pointerId)
    this.moved = true
    if (other) {
      const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 }
      this.#put(this.#scale, this.#x + (at.x - before.x) / 2, this.#y + (at.y - before.y) / 2)
      this.by(apart(at, other) / Math.max(1, apart(before, other)), middle, false)
    } else if (this.#scale > 1) {
      this.#put(this.#scale, this.#x + at.x - before.x, this.#y + at.y - before.y)
    } else if (event.pointerType === 'touch') {
      this.#follow(at)
    }
  }

  up = (event: PointerEvent): void => {
    const single = this.#down.size === 1 && this.#scale === 1 && event.pointerType === 'touch'
    this.#down.delete(event.pointerId)
    if (!single || !this.#start || !this.moved) return
    const way = { x: event.clientX - this.#start.x, y: event.clientY - this.#start.y }
    const sideways = Math.abs(way.x) > Math.abs(way.y)
    this.reset()
    if (!sideways && way.y > CLOSE_PX) this.hooks.close()
    else if (sideways && Math.abs(way.x) > STEP_PX) this.hooks.step(this.#earlier(way.x) ? 1 : -1)
  }

  lost = (event: PointerEvent): void => {
    this.#down.delete(event.pointerId)
    if (this.#scale === 1) this.reset()
  }

  /** A finger that goes on along the line of reading pulls in what was before. */
  #earlier(way: number): boolean {
    return way > 0 !== this.hooks.stage().matches(':dir(rtl)')
  }

  /** The whole picture goes along with the finger, and what is behind it shows through on the way down. */
  #follow(at: Point): void {
    const way = { x: at.x - this.#start!.x, y: at.y - this.#start!.y }
    const sideways = Math.abs(way.x) > Math.abs(way.y)
    this.#put(1, sideways ? way.x : 0, sideways ? 0 : Math.max(0, way.y))
    this.#solid(sideways ? 1 : 1 - Math.min(0.6, Math.max(0, way.y) / 500))
  }

  #put(scale: number, x: number, y: number, settles = false): void {
    const stage = this.hooks.stage()
    const wide = (stage.clientWidth * (scale - 1)) / 2
    const high = (stage.clientHeight * (scale - 1)) / 2
    const free = scale === 1
    this.#scale = scale
    this.#x = free ? x : Math.max(-wide, Math.min(wide, x))
    this.#y = free ? y : Math.max(-high, Math.min(high, y))
    stage.classList.toggle('settles', settles)
    if (settles) this.#solid(1)
    const style = this.hooks.picture()?.style
    style?.setProperty('--x', `${this.#x}px`)
    style?.setProperty('--y', `${this.#y}px`)
    style?.setProperty('--scale', String(scale))
    this.hooks.zoomed(scale > 1)
  }

  #solid(share: number): void {
    this.hooks.stage().parentElement!.style.setProperty('--solid', String(share))
  }
}

function apart(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y)
}
