/** Who has reacted to a message, and with what. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { isMine, react } from '../../client/reactions.ts'
import type { RoomView } from '../../client/room.ts'
import type { Message, Reaction } from '../../client/wire.ts'
import { currentMessage } from '../shared/current-message.ts'
import { property } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'

export class ChatReactors extends LitElement {
  static override styles = [
    base,
    css`
      h2 {
        padding: 16px 16px 8px;
        font-weight: 600;
      }
      ul {
        padding: 0 8px 8px;
        outline: 0;
      }
      li {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 52px;
        padding: 0 8px;
        --size: 36px;
      }
      .cut {
        flex: 1;
      }
      .emoji {
        flex: none;
        font-size: 22px;
        line-height: 1;
      }
    `,
  ]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) view!: RoomView
  /** The message as it was when the list was opened. */
  @property({ attribute: false }) message!: Message

  override updated(): void {
    if (!this.#current.reactions?.length)
      emit(this.renderRoot.querySelector('chat-sheet')!, 'chat-close', null)
  }

  override render() {
    const message = this.#current
    return html`<chat-sheet .label=${t('reactions')}><h2>${t('reactions')}</h2>
      <ul tabindex="-1">${message.reactions?.map(reaction => this.#users(message, reaction))}</ul></chat-sheet>`
  }

  get #current(): Message {
    return currentMessage(this.view, this.message)
  }

  /** Renders a row for each user who has chosen an emoji, the caller first. */
  #users(message: Message, reaction: Reaction) {
    const { emoji, count, users } = reaction
    const mine = isMine(this.client, message, reaction)
    const listed = users.filter(id => id !== this.client.me && this.view.timeline?.people.has(id))
    const others = count - listed.length - Number(mine)
    return html`${mine ? this.#own(message, emoji) : nothing}
      ${listed.map(id => {
        const name = nameOf(this.view.timeline!.people.get(id)!.user)
        return html`<li><chat-avatar .name=${name} .key=${String(id)}></chat-avatar><span class="cut" dir="auto">${name}</span>
          <span class="emoji">${emoji}</span></li>`
      })}
      ${
        others > 0
          ? html`<li class="small"><span class="cut">${t('otherReactors', { n: others })}</span><span class="emoji">${emoji}</span></li>`
          : nothing
      }`
  }

  /** The focus stays in the list, whose row disappears. */
  #takeBack(message: Message, emoji: string): void {
    this.renderRoot.querySelector('ul')?.focus()
    react(this.client, message, emoji, false)
  }

  #own(message: Message, emoji: string) {
    const key = String(this.client.me)
    const archived = Boolean(this.view.timeline?.room.archived_at)
    return html`<li><chat-avatar .name=${t('you')} .key=${key}></chat-avatar><span class="cut">${t('you')}</span>
      ${
        archived
          ? nothing
          : html`<button class="plain" aria-label=${t('removeReaction', { emoji })}
              @click=${() => this.#takeBack(message, emoji)}>${t('takeBack')}</button>`
      }<span class="emoji">${emoji}</span></li>`
  }
}
