/**
 * A floating surface: a bottom sheet on a phone; a menu at the pointer, or a small window, on a desktop.
 *
 * A modal `dialog` traps the focus, restores it afterwards, and lies above everything else.
 */
import { css, html, LitElement, type ReactiveControllerHost } from 'lit'
import { property, query } from './decorators.ts'
import { emit } from './events.ts'
import { t } from './texts.ts'
import { base } from './theme.ts'

/** The point at which a menu opens: below and to the right of it unless `above` or `before` is set. */
export interface AnchorPoint {
  readonly x: number
  readonly y: number
  readonly above?: boolean
  readonly before?: boolean
}

/** Events of the content after which there is nothing more to do. */
const FINAL_EVENTS = [
  'chat-select',
  'chat-reply',
  'chat-edit',
  'chat-overlay',
  'chat-aside',
  'chat-close',
] as const

/** A sheet that is dragged further down than this closes. */
const CLOSE_PX = 80

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

  /** Where the menu opens; without it, the surface is a window. */
  @property({ attribute: false }) anchor: AnchorPoint | null = null
  @property() label = ''
  @query('dialog') private dialog!: HTMLDialogElement
  #resizeObserver = new ResizeObserver(() => this.#position())
  #dragStart: number | null = null
  #dragged = 0
  /** Where the last pointer went down since the surface opened. */
  #pressed: 'inside' | 'outside' | null = null

  constructor() {
    super()
    countDialog(this)
    // Before anyone else handles them: closing restores the focus, and what lies below is inert until then.
    for (const type of FINAL_EVENTS) this.addEventListener(type, () => this.dialog.close())
  }

  override firstUpdated(): void {
    this.dialog.showModal()
    this.dialog.addEventListener('click', this.#onFirstClick, { capture: true })
    this.#resizeObserver.observe(this.dialog)
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    this.#resizeObserver.disconnect()
  }

  /** Positions a menu within the viewport. Its content may be rendered after it. */
  #position(): void {
    if (!this.anchor) return
    // The bounding rectangle is smaller while the opening animation runs.
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
      @close=${() => emit(this, 'chat-close', null)} @pointerdown=${this.#onPointerdown} @click=${this.#onClick} @keydown=${containEscape}>
      <div class="handle" @pointerdown=${this.#startDrag} @pointermove=${this.#drag} @pointerup=${this.#endDrag}
        @pointercancel=${this.#endDrag}></div>
      <slot></slot>
    </dialog>`
  }

  #onPointerdown = (event: PointerEvent): void => {
    this.#pressed = event.composedPath()[0] === this.dialog ? 'outside' : 'inside'
  }

  /** A long press opens a sheet under a finger that is still down; lifting it must not select anything. */
  #onFirstClick = (event: MouseEvent): void => {
    if (!this.#pressed && event.detail > 0) event.stopPropagation()
  }

  #onClick = (event: MouseEvent): void => {
    if (event.composedPath()[0] !== this.dialog || this.#pressed !== 'outside') return
    const { left, right, top, bottom } = this.dialog.getBoundingClientRect()
    const inside =
      event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom
    if (!inside) this.dialog.close()
  }

  #startDrag = (event: PointerEvent): void => {
    this.#dragStart = event.clientY
    this.dialog.classList.add('held')
    ;(event.currentTarget as Element).setPointerCapture(event.pointerId)
  }

  #drag = (event: PointerEvent): void => {
    if (this.#dragStart === null) return
    this.#dragged = Math.max(0, event.clientY - this.#dragStart)
    this.dialog.style.transform = `translateY(${this.#dragged}px)`
  }

  #endDrag = (): void => {
    this.dialog.classList.remove('held')
    this.dialog.style.transform = ''
    if (this.#dragged > CLOSE_PX) this.dialog.close()
    this.#dragStart = null
    this.#dragged = 0
  }
}

/** Number of modal dialogs on the page. */
let dialogs = 0

/** Counts a modal dialog for as long as its element is on the page. */
export function countDialog(host: ReactiveControllerHost): void {
  host.addController({
    hostConnected: () => {
      dialogs++
    },
    hostDisconnected: () => {
      dialogs--
    },
  })
}

/** Whether a modal dialog is open, to which keys belong even while nothing has the focus. */
export function isDialogOpen(): boolean {
  return dialogs > 0
}

/** Keeps Escape from also closing what lies below the dialog. */
export function containEscape(event: KeyboardEvent): void {
  if (event.key === 'Escape') event.stopPropagation()
}
