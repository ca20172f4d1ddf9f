/** Shows the quick reactions beside the message under the pointer, on devices that can hover. */
import type { Client } from '../../client/client.ts'
import type { RoomView } from '../../client/room.ts'
import type { MessageRow } from '../timeline/rows.ts'
import { ChatQuickReactions } from './quick-reactions.ts'

/** Time for which the pointer rests on a message. */
const DELAY_MS = 120
/** The width and the height of the bar, and its distance from what it is beside. */
const WIDTH_PX = 238
const HEIGHT_PX = 38
const GAP_PX = 8

/** The timeline. */
interface Host extends HTMLElement {
  readonly client: Client
  readonly view: RoomView
  readonly renderRoot: HTMLElement | DocumentFragment
}

type HoveredMessage = HTMLElement & { readonly row: MessageRow }

export class HoverBar {
  #bar: ChatQuickReactions | null = null
  #message: HoveredMessage | null = null
  #timer: ReturnType<typeof setTimeout> | undefined
  #host: Host

  constructor(host: Host) {
    this.#host = host
    if (!matchMedia('(hover: hover)').matches) return
    host.addEventListener('pointermove', event => this.#onPointermove(event))
    host.addEventListener('pointerleave', () => this.#moveTo(null))
    host.renderRoot.addEventListener('scroll', () => this.#moveTo(null), { capture: true, passive: true })
  }

  #onPointermove(event: PointerEvent): void {
    const path = event.composedPath()
    if (event.pointerType !== 'mouse' || (this.#bar && path.includes(this.#bar))) return
    const message = path.find(one => one instanceof HTMLElement && one.localName === 'chat-message')
    if (message !== this.#message) this.#moveTo((message as HoveredMessage | undefined) ?? null)
  }

  #moveTo(message: HoveredMessage | null): void {
    clearTimeout(this.#timer)
    this.#bar?.remove()
    this.#bar = null
    this.#message = message
    if (message) this.#timer = setTimeout(() => this.#show(message), DELAY_MS)
  }

  #show(element: HoveredMessage): void {
    const { client, view, renderRoot } = this.#host
    const { message, pending } = element.row
    if (!element.isConnected || message.is_deleted || pending || view.timeline?.room.archived_at || view.gone)
      return
    const place = this.#placeBeside(element)
    if (!place) return
    const bar = new ChatQuickReactions()
    bar.client = client
    bar.message = message
    bar.floating = true
    bar.style.left = `${place.left}px`
    bar.style.top = `${place.top}px`
    bar.addEventListener('chat-close', event => {
      event.stopPropagation()
      bar.remove()
    })
    renderRoot.append(bar)
    this.#bar = bar
  }

  /** Returns where there is space for the bar beside a message's bubble, its button and its time. */
  #placeBeside({ shadowRoot }: HoveredMessage): { left: number; top: number } | null {
    const bubble = shadowRoot?.querySelector('.bubble')?.getBoundingClientRect()
    const button = shadowRoot?.querySelector('.more')?.getBoundingClientRect()
    if (!bubble || !button) return null
    const time = shadowRoot?.querySelector('.later')?.getBoundingClientRect() ?? button
    const area = this.#host.getBoundingClientRect()
    const isAfter = button.left > bubble.left
    const left = isAfter
      ? Math.max(button.right, time.right) + GAP_PX
      : Math.min(button.left, time.left) - GAP_PX - WIDTH_PX
    if (left < area.left + GAP_PX || left + WIDTH_PX > area.right - GAP_PX) return null
    const middle = (Math.max(bubble.top, area.top) + Math.min(bubble.bottom, area.bottom)) / 2
    return { left: left - area.left, top: middle - area.top - HEIGHT_PX / 2 }
  }
}
