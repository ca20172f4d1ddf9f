/** The reactions to a message, one button for each emoji: it shows how many users chose it, and adds or removes the user's own. */
import { css, html, LitElement, nothing } from 'lit'
import type { Client } from '../../client/client.ts'
import { isMine, react, readOwn } from '../../client/reactions.ts'
import type { Message, Participant, Reaction } from '../../client/wire.ts'
import { property } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'

/** Number of emoji in the row, which never wraps; the others are behind a button. */
const SHOWN_MAX = 5

export class ChatReactions extends LitElement {
  static override styles = [
    base,
    css`
      div {
        display: flex;
        gap: 4px;
      }
      :host([mine]) div {
        justify-content: flex-end;
      }
      button {
        flex: none;
        height: 28px;
        margin: 0;
      }
      button > span {
        display: flex;
        align-items: center;
        gap: 4px;
        height: 28px;
        padding: 0 8px;
        border: 1px solid transparent;
        border-radius: 14px;
        background: var(--_surface-2);
        font-size: 13px;
        font-variant-numeric: tabular-nums;
      }
      b {
        font-size: 16px;
        font-weight: 400;
        line-height: 20px;
      }
      button:enabled:hover > span {
        border-color: var(--_line);
      }
      [aria-pressed='true'] > span {
        border-color: var(--_accent);
        background: var(--_mine);
        font-weight: 600;
      }
      @media (pointer: coarse) {
        div {
          gap: 0;
          margin-inline: -4px;
        }
        button {
          min-width: 44px;
          height: 44px;
          margin-block: -8px;
          padding: 8px 4px;
        }
        button > span {
          justify-content: center;
        }
      }
    `,
  ]

  @property({ attribute: false }) message!: Message
  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) people: ReadonlyMap<number, Participant> = new Map()

  override willUpdate(): void {
    void this.#readOwn()
  }

  override render() {
    const all = this.message.reactions ?? []
    const hidden = all.length - SHOWN_MAX
    return html`<div role="group" aria-label=${t('reactions')}>${all
      .slice(0, SHOWN_MAX)
      .map(reaction => this.#reaction(reaction))}${
      hidden > 0
        ? html`<button tabindex="-1" aria-label=${t('allReactions')} @click=${this.#openAll}><span>+${hidden}</span></button>`
        : nothing
    }</div>`
  }

  #reaction(reaction: Reaction) {
    const { emoji, count } = reaction
    const mine = isMine(this.client, this.message, reaction)
    const names = namesOf(reaction, this.people, this.client.me)
    return html`<button tabindex="-1" aria-pressed=${mine} title=${names} aria-label=${`${emoji} ${count}: ${names}`}
      @click=${() => react(this.client, this.message, emoji, !mine)}><span><b>${emoji}</b>${count}</span></button>`
  }

  async #readOwn(): Promise<void> {
    if (await readOwn(this.client, this.message)) this.requestUpdate()
  }

  #openAll = (): void => {
    emit(this, 'chat-overlay', { kind: 'reactions', message: this.message })
  }
}

/** Returns the names of the users who chose an emoji, as far as the server lists them. */
function namesOf(
  { users, count }: Reaction,
  people: ReadonlyMap<number, Participant>,
  me: number | null,
): string {
  const names = users.flatMap(id => {
    const user = people.get(id)?.user
    return id === me ? [t('you')] : user ? [nameOf(user)] : []
  })
  const others = count - names.length
  return others > 0 ? [...names, t('andOthers', { n: others })].join(', ') : names.join(', ')
}
