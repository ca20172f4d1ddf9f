/** The gesture from the edge where a line begins: the conversation follows the finger and gives way to the list. */

/** A finger that comes down this near to the edge means to go back. */
const EDGE_PX = 24
/** The share of the width after which it counts. */
const REACH = 0.3

interface Hooks {
  /** The panes to move, or null when there is nothing to go back to. */
  pane(): HTMLElement | null
  back(): void
}

export class EdgeBack {
  #x: number | null = null
  #way = 0
  /** `-1` where one reads from right to left. */
  #ahead = 1

  constructor(
    private readonly host: HTMLElement,
    private readonly hooks: Hooks,
  ) {
    host.addEventListener('pointerdown', event => this.#down(event), { capture: true })
    host.addEventListener('pointermove', event => this.#move(event))
    host.addEventListener('pointerup', () => this.#up())
    host.addEventListener('pointercancel', () => this.#reset())
  }

  #down(event: PointerEvent): void {
    const { left, right } = this.host.getBoundingClientRect()
    this.#ahead = this.host.matches(':dir(rtl)') ? -1 : 1
    const inside = this.#ahead > 0 ? event.clientX - left : right - event.clientX
    if (event.pointerType !== 'touch' || inside > EDGE_PX || !this.hooks.pane()) return
    this.#x = event.clientX
    event.stopPropagation()
  }

  #move(event: PointerEvent): void {
    const pane = this.hooks.pane()
    if (this.#x === null || !pane) return
    this.#way = Math.max(0, (event.clientX - this.#x) * this.#ahead)
    pane.classList.add('held')
    main(pane).style.transform = `translateX(${this.#way * this.#ahead}px)`
  }

  #up(): void {
    const far = this.#way > this.host.clientWidth * REACH
    this.#reset()
    if (far) this.hooks.back()
  }

  #reset(): void {
    const pane = this.hooks.pane()
    this.#x = null
    this.#way = 0
    if (!pane) return
    pane.classList.remove('held')
    main(pane).style.transform = ''
  }
}

function main(pane: HTMLElement): HTMLElement {
  return pane.querySelector('main')!
}
