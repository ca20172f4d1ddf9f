/**
 * What floats: a sheet from below on a phone, a menu at the pointer or a small window on a desk.
 *
 * A modal `dialog` keeps the focus in it and gives it back, and lies over everything.
 */
import { css, html, LitElement } from 'lit'
import { emit } from './events.ts'
import { property, query } from './reactive.ts'
import { t } from './texts.ts'
import { base } from './theme.ts'

/** A point to open at: below and right of it, or `above` it, or left of it (`before`). */
export interface Place {
  readonly x: number
  readonly y: number
  readonly above?: boolean
  readonly before?: boolean
}

/** Pulled down further than this, a sheet closes. */
const PULL_PX = 80

export class ChatSheet extends LitElement {
  static override styles = [
    base,
    css`
      dialog {
        color: var(--_text);
        background: var(--_surface);
        border: 1px solid var(--_line);
        padding: 8px;
        border-radius: 16px;
        box-shadow: var(--_shadow);
        max-width: min(400px, calc(100vw - 32px));
        max-height: min(640px, calc(100dvh - 32px));
        overflow: auto;
        overscroll-behavior: contain;
        animation: grow 140ms ease-out;
      }
      dialog.window {
        width: 400px;
        padding: 0;
      }
      dialog.menu {
        position: fixed;
        inset: auto;
        margin: 0;
        min-width: 200px;
      }
      dialog::backdrop {
        background: #0006;
      }
      dialog.menu::backdrop {
        background: none;
      }
      .handle {
        display: none;
      }
      @keyframes grow {
        from {
          transform: scale(0.96);
          opacity: 0;
        }
      }
      @media (max-width: 640px) {
        dialog,
        dialog.window,
        dialog.menu {
          inset: auto 0 0 !important;
          margin: 0;
          width: 100%;
          max-width: none;
          max-height: 85dvh;
          padding: 0 8px calc(12px + env(safe-area-inset-bottom));
          border-radius: 16px 16px 0 0;
          transition: transform 180ms ease-out;
          animation: rise 180ms ease-out;
        }
        dialog.window {
          padding-inline: 0;
        }
        dialog.menu::backdrop {
          background: #0006;
        }
        .handle {
          display: grid;
          place-items: center;
          height: 24px;
          touch-action: none;
        }
        .handle::before {
          content: '';
          width: 36px;
          height: 4px;
          border-radius: 2px;
          background: var(--_line);
        }
        .held {
          transition: none;
        }
      }
      @keyframes rise {
        from {
          transform: translateY(100%);
        }
      }
    `,
  ]

  /** Where a menu opens; without, it is a window. */
  @property({ attribute: false }) anchor: Place | null = null
  @property() label = ''
  @query('dialog') private dialog!: HTMLDialogElement
  #resized = new ResizeObserver(() => this.#place())
  #from: number | null = null
  #pulled = 0
  /** Where a pointer came down last, since this opened. */
  #pressed: 'inside' | 'outside' | null = null

  override firstUpdated(): void {
    this.dialog.showModal()
    this.dialog.addEventListener('click', this.#lifted, { capture: true })
    this.#resized.observe(this.dialog)
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resized.disconnect()
  }

  /** Puts a menu where it belongs and all of it in sight; its content may come after it. */
  #place(): void {
    if (!this.anchor) return
    // Not by its rectangle, which is smaller as long as it grows.
    const { offsetWidth: width, offsetHeight: height } = this.dialog
    const { above, before } = this.anchor
    const left = this.anchor.x - (before ? width : 0)
    const top = this.anchor.y - (above ? height + 8 : 0)
    const x = Math.max(8, Math.min(left, innerWidth - width - 8))
    const y = Math.max(8, Math.min(top, innerHeight - height - 8))
    this.dialog.style.left = `${x}px`
    this.dialog.style.top = `${y}px`
  }

  override render() {
    return html`<dialog class=${this.anchor ? 'menu' : 'window'} aria-label=${this.label || t('menu')}
      @close=${() => emit(this, 'chat-close', null)} @pointerdown=${this.#press} @click=${this.#outside} @keydown=${keepEscape}>
      <div class="handle" @pointerdown=${this.#hold} @pointermove=${this.#pull} @pointerup=${this.#letGo}
        @pointercancel=${this.#letGo}></div>
      <slot></slot>
    </dialog>`
  }

  #press = (event: PointerEvent): void => {
    this.#pressed = event.composedPath()[0] === this.dialog ? 'outside' : 'inside'
  }

  /** A long press opens a sheet under a finger that is still down; its lifting chooses nothing. */
  #lifted = (event: MouseEvent): void => {
    if (!this.#pressed && event.detail > 0) event.stopPropagation()
  }

  #outside = (event: MouseEvent): void => {
    if (event.composedPath()[0] !== this.dialog || this.#pressed !== 'outside') return
    const { left, right, top, bottom } = this.dialog.getBoundingClientRect()
    const inside =
      event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom
    if (!inside) this.dialog.close()
  }

  #hold = (event: PointerEvent): void => {
    this.#from = event.clientY
    this.dialog.classList.add('held')
    ;(event.currentTarget as Element).setPointerCapture(event.pointerId)
  }

  #pull = (event: PointerEvent): void => {
    if (this.#from === null) return
    this.#pulled = Math.max(0, event.clientY - this.#from)
    this.dialog.style.transform = `translateY(${this.#pulled}px)`
  }

  #letGo = (): void => {
    this.dialog.classList.remove('held')
    this.dialog.style.transform = ''
    if (this.#pulled > PULL_PX) this.dialog.close()
    this.#from = null
    this.#pulled = 0
  }
}

/** Escape closes what floats and nothing under it. */
export function keepEscape(event: KeyboardEvent): void {
  if (event.key === 'Escape') event.stopPropagation()
}
