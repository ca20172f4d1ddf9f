/** The menu of a row in the room list. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { ListedRoom } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { menuItem, menuKeys, menuStyle } from '../shared/menu.ts'
import type { AnchorPoint } from '../shared/sheet.ts'
import { errorText } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { markRead, markUnread, setFavourite, setMuted } from './room-settings.ts'

const HOUR_MS = 3_600_000
/** The hour at which muting until tomorrow ends. */
const MORNING = 8

export class ChatRowMenu extends LitElement {
  static override styles = [
    base,
    menuStyle,
    css`
      p {
        max-width: 320px;
        padding: 8px 12px;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: ListedRoom
  @property({ attribute: false }) anchor: AnchorPoint | null = null
  /** The times are shown until which the room can be muted. */
  @state() private muting = false
  @state() private error = ''

  override render() {
    return html`<chat-sheet .anchor=${this.anchor} .label=${this.room.display_name}>
      ${this.error ? html`<p class="danger" role="alert">${this.error}</p>` : nothing}
      <div class="menu" role="menu" aria-label=${this.room.display_name} @keydown=${menuKeys}>${
        this.muting ? this.#times() : this.#actions()
      }</div></chat-sheet>`
  }

  override updated(): void {
    if (this.muting) this.renderRoot.querySelector<HTMLElement>('[role=menuitem]')?.focus()
  }

  #actions() {
    const { client, room } = this
    const { unread_count, favourite, is_muted } = room
    return html`${
      unread_count > 0
        ? menuItem('markRead', 'check', () => this.#run(() => markRead(client, room)))
        : menuItem('markUnread', 'dot', () => this.#run(() => markUnread(client, room)))
    }
    ${
      favourite === undefined
        ? nothing
        : menuItem(favourite ? 'dropFavourite' : 'addFavourite', 'star', () =>
            this.#run(() => setFavourite(client, room, !favourite)),
          )
    }
    ${
      is_muted
        ? menuItem('unmute', 'bell', () => this.#run(() => setMuted(client, room, false)))
        : menuItem('mute', 'mute', () => {
            this.muting = true
          })
    }`
  }

  #times() {
    const mute = (until?: Date) => this.#run(() => setMuted(this.client, this.room, true, until))
    return html`${menuItem('muteHour', 'clock', () => mute(new Date(Date.now() + HOUR_MS)))}
      ${menuItem('muteDay', 'clock', () => mute(new Date(Date.now() + 8 * HOUR_MS)))}
      ${menuItem('muteMorning', 'clock', () => mute(tomorrowAt(MORNING)))}
      ${menuItem('muteAlways', 'mute', () => mute())}`
  }

  /** Runs an action and closes the menu unless it fails. */
  async #run(action: () => Promise<void>): Promise<void> {
    this.error = ''
    try {
      await action()
      emit(this, 'chat-close', null)
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}

/** Returns an hour of tomorrow in the device's time zone. */
function tomorrowAt(hour: number): Date {
  const now = new Date()
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1, hour)
}
