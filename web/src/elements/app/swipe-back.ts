/** The gesture that goes back to the list: a swipe from the edge at which lines begin. */

/** Maximum distance from the edge at which the gesture starts. */
const EDGE_PX = 24
/** The share of the width that completes the gesture. */
const THRESHOLD = 0.3

interface Hooks {
  /** Returns the panes to move, or null if there is nothing to go back to. */
  panes(): HTMLElement | null
  back(): void
}

export class SwipeBack {
  #startX: number | null = null
  #distance = 0
  /** -1 where text runs from right to left. */
  #direction = 1

  constructor(
    private readonly host: HTMLElement,
    private readonly hooks: Hooks,
  ) {
    host.addEventListener('pointerdown', event => this.#onDown(event), { capture: true })
    host.addEventListener('pointermove', event => this.#onMove(event))
    host.addEventListener('pointerup', () => this.#onUp())
    host.addEventListener('pointercancel', () => this.#reset())
  }

  #onDown(event: PointerEvent): void {
    const { left, right } = this.host.getBoundingClientRect()
    this.#direction = this.host.matches(':dir(rtl)') ? -1 : 1
    const inside = this.#direction > 0 ? event.clientX - left : right - event.clientX
    if (event.pointerType !== 'touch' || inside > EDGE_PX || !this.hooks.panes()) return
    this.#startX = event.clientX
    event.stopPropagation()
  }

  #onMove(event: PointerEvent): void {
    const panes = this.hooks.panes()
    if (this.#startX === null || !panes) return
    this.#distance = Math.max(0, (event.clientX - this.#startX) * this.#direction)
    panes.classList.add('held')
    main(panes).style.transform = `translateX(${this.#distance * this.#direction}px)`
  }

  #onUp(): void {
    const complete = this.#distance > this.host.clientWidth * THRESHOLD
    this.#reset()
    if (complete) this.hooks.back()
  }

  #reset(): void {
    const panes = this.hooks.panes()
    this.#startX = null
    this.#distance = 0
    if (!panes) return
    panes.classList.remove('held')
    main(panes).style.transform = ''
  }
}

function main(panes: HTMLElement): HTMLElement {
  return panes.querySelector('main')!
}
