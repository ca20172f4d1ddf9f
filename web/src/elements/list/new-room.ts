/** The dialog that creates a direct room with one user, or a group of several. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import type { User } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'

export class ChatNewRoom extends LitElement {
  static override styles = [
    base,
    css`
      .frame {
        display: flex;
        flex-direction: column;
        gap: 8px;
        height: min(560px, 78dvh);
        padding: 16px;
      }
      h2 {
        font-weight: 600;
        font-size: 18px;
      }
      chat-people-picker {
        flex: 1;
      }
      .chosen {
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
      }
      .chosen button {
        display: flex;
        align-items: center;
        gap: 4px;
        min-height: 32px;
        padding: 0 8px 0 12px;
        border-radius: 16px;
        background: var(--_mine);
        font-size: 13px;
      }
      .chosen svg {
        width: 16px;
        height: 16px;
      }
      @media (pointer: coarse) {
        .chosen button {
          min-height: 44px;
          border-radius: 22px;
        }
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @state() private selected: readonly User[] = []
  @state() private name = ''
  @state() private error = ''

  override render() {
    const { selected } = this
    const group = selected.length > 1
    return html`<chat-sheet .label=${t('newRoom')}><div class="frame">
      <h2>${t('newRoom')}</h2>
      ${selected.length === 0 ? html`<p class="small">${t('onePerson')}</p>` : nothing}
      <div class="chosen" ?hidden=${selected.length === 0}>${selected.map(
        user => html`<button aria-label=${t('removeChosen', { name: user.full_name })} @click=${() => this.#toggle(user)}>
          ${nameOf(user)}${icon('close')}</button>`,
      )}</div>
      ${
        group
          ? html`<input placeholder=${t('groupName')} aria-label=${t('groupName')} maxlength="255"
            @input=${(event: Event) => {
              this.name = (event.target as HTMLInputElement).value
            }} />`
          : nothing
      }
      <chat-people-picker .client=${this.client} .chosen=${new Set(selected.map(user => user.id))}
        .onSelect=${(user: User) => this.#toggle(user)}></chat-people-picker>
      ${this.error ? html`<div class="danger" role="alert">${this.error}</div>` : nothing}
      <button class="solid" ?disabled=${selected.length === 0 || (group && !this.name.trim())} @click=${() => this.#create()}>
        ${group ? t('create') : t('next')}</button>
    </div></chat-sheet>`
  }

  #toggle(user: User): void {
    const others = this.selected.filter(one => one.id !== user.id)
    this.selected = others.length < this.selected.length ? others : [...this.selected, user]
  }

  async #create(): Promise<void> {
    const participant_ids = this.selected.map(user => user.id)
    try {
      const { data } = await this.client.api.POST('/api/chat/rooms/', {
        body:
          participant_ids.length > 1
            ? { room_type: 'group', name: this.name.trim(), participant_ids }
            : { room_type: 'direct', participant_ids },
      })
      await this.client.loadRooms()
      emit(this, 'chat-open-room', { id: data.id })
    } catch (cause) {
      this.error = errorText(cause)
    }
  }
}
