/** What the user is told of in a room. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { type Level, saveLevel } from '../../client/notification-settings.ts'
import type { Room } from '../../client/room.ts'
import { ChangeController } from '../shared/change-controller.ts'
import { property, state } from '../shared/decorators.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

const LEVELS: readonly Level[] = ['all', 'mentions', 'nothing']

export class ChatRoomLevel extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: block;
        padding: 0 12px 12px;
      }
      label {
        display: block;
        font-size: 13px;
        color: var(--_text-2);
      }
      select {
        width: 100%;
        min-height: 40px;
        margin-top: 4px;
        padding: 0 8px;
        border: 1px solid transparent;
        border-radius: 12px;
        background: var(--_surface-2);
        color: var(--_text);
        font: inherit;
      }
      @media (pointer: coarse) {
        select {
          min-height: 44px;
        }
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @state() private status = ''
  @state() private error = ''

  constructor() {
    super()
    new ChangeController(this, () => [this.client])
  }

  override render() {
    const level = this.#level
    // Older servers have no levels.
    if (!level) return nothing
    return html`<label>${t('level')}<select @change=${this.#onChange}>${LEVELS.map(
      one => html`<option .selected=${one === level}>${t(`level_${one}`)}</option>`,
    )}</select></label>
      <div class="small" role="status">${this.status}</div>
      ${this.error ? html`<div class="danger small" role="alert">${this.error}</div>` : nothing}`
  }

  get #level(): string | undefined {
    return this.client.inbox.rooms.find(one => one.id === this.room.id)?.level
  }

  #onChange = async (event: Event): Promise<void> => {
    const select = event.target as HTMLSelectElement
    const { client, room } = this
    this.status = ''
    this.error = ''
    try {
      await saveLevel(client, room.self!.id, LEVELS[select.selectedIndex]!)
      this.status = t('settingSaved')
    } catch (cause) {
      this.error = errorText(cause)
      select.selectedIndex = LEVELS.indexOf(this.#level as Level)
    }
  }
}
