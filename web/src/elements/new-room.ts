/** Starting a conversation: one person makes a direct one, several a group. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../client/client.ts'
import { ChatError } from '../client/rest.ts'
import type { User } from '../client/wire.ts'
import { emit } from './events.ts'
import { icon } from './icons.ts'
import { property, state } from './reactive.ts'
import { t, whyFailed } from './texts.ts'
import { base } from './theme.ts'

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
  @state() private chosen: readonly User[] = []
  @state() private name = ''
  @state() private trouble = ''

  override render() {
    const { chosen } = this
    const group = chosen.length > 1
    return html`<chat-sheet .label=${t('newRoom')}><div class="frame">
      <h2>${t('newRoom')}</h2>
      ${chosen.length === 0 ? html`<p class="small">${t('onePerson')}</p>` : nothing}
      <div class="chosen" ?hidden=${chosen.length === 0}>${chosen.map(
        user => html`<button aria-label=${t('removeChosen', { name: user.full_name })} @click=${() => this.#choose(user)}>
          ${user.full_name || user.username}${icon('close')}</button>`,
      )}</div>
      ${
        group
          ? html`<input placeholder=${t('groupName')} aria-label=${t('groupName')} maxlength="255"
            @input=${(event: Event) => {
              this.name = (event.target as HTMLInputElement).value
            }} />`
          : nothing
      }
      <chat-people-picker .client=${this.client} .chosen=${new Set(chosen.map(user => user.id))}
        .choose=${(user: User) => this.#choose(user)}></chat-people-picker>
      ${this.trouble ? html`<div class="danger" role="alert">${this.trouble}</div>` : nothing}
      <button class="solid" ?disabled=${chosen.length === 0 || (group && !this.name.trim())} @click=${() => this.#create()}>
        ${group ? t('create') : t('next')}</button>
    </div></chat-sheet>`
  }

  #choose(user: User): void {
    const without = this.chosen.filter(one => one.id !== user.id)
    this.chosen = without.length < this.chosen.length ? without : [...this.chosen, user]
  }

  async #create(): Promise<void> {
    const participant_ids = this.chosen.map(user => user.id)
    try {
      const { data } = await this.client.api.POST('/api/chat/rooms/', {
        body:
          participant_ids.length > 1
            ? { room_type: 'group', name: this.name.trim(), participant_ids }
            : { room_type: 'direct', participant_ids },
      })
      await this.client.list()
      emit(this, 'chat-open-room', { id: data.id })
    } catch (cause) {
      this.trouble = whyFailed(cause instanceof ChatError ? cause.code : 'other')
    }
  }
}
