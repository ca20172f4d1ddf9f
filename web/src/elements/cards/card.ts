/** The card of a message: a checklist, a poll, or facts. Anyone in the room ticks, votes, and presses its buttons. */
import { html, LitElement, nothing } from 'lit'
import {
  changeCard,
  closePoll,
  followCards,
  isOwnVote,
  pressButton,
  readOwnVotes,
} from '../../client/cards.ts'
import type { Client } from '../../client/client.ts'
import type { Card, ChecklistItem, Message, Participant, PollChoice } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { icon } from '../shared/icons.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { errorText, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { cardStyle } from './card-style.ts'

/** What a card may lead to. */
const WEB_ADDRESS = /^https?:\/\//i

export class ChatCard extends LitElement {
  static override styles = [base, cardStyle]

  @property({ attribute: false }) message!: Message
  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) people: ReadonlyMap<number, Participant> = new Map()
  /** Shows who has ticked and voted. */
  @state() private detailed = false
  /** Closing a poll cannot be undone and has to be confirmed. */
  @state() private confirming = false
  @state() private error = ''
  /** The button that is being pressed, and the one that was. */
  @state() private pressing = ''
  @state() private pressed = ''

  #height = 0

  override firstUpdated(): void {
    followCards(this.client, this.message.room_id)
  }

  /** Reports by how much the card has grown, because the timeline keeps what is read in its place. */
  override updated(): void {
    void this.#readOwnVotes()
    const { height, bottom } = this.getBoundingClientRect()
    const by = height - this.#height
    this.#height = height
    if (by !== 0) emit(this, 'chat-resize', { by, bottom })
  }

  override render() {
    const card = this.message.card!
    return html`${card.title ? html`<h3 dir="auto">${card.title}</h3>` : nothing}
      ${card.text ? html`<p class="text" dir="auto">${card.text}</p>` : nothing}
      ${card.state ? html`<span class="state">${card.state}</span>` : nothing}
      ${
        card.fields?.length
          ? html`<dl>${card.fields.map(({ name, value }) => html`<dt class="small">${name}</dt><dd dir="auto">${value}</dd>`)}</dl>`
          : nothing
      }
      ${card.kind === 'checklist' ? this.#checklist(card) : card.kind === 'poll' ? this.#poll(card) : nothing}
      ${card.link && WEB_ADDRESS.test(card.link) ? html`<a href=${card.link} target="_blank" rel="noopener noreferrer">${t('openLink')}</a>` : nothing}
      ${this.#buttons(card)}
      ${this.error ? html`<p class="danger" role="alert">${this.error}</p>` : nothing}`
  }

  #buttons({ buttons }: Card) {
    if (!buttons?.length) return nothing
    return html`<div class="buttons">${buttons.map(
      ({
        id,
        text,
        style,
      }) => html`<button class="press ${style === 'primary' || style === 'danger' ? style : ''}" dir="auto"
        ?disabled=${this.#isUnsent || this.pressing !== ''} @click=${() => this.#press(id)}>${text}${this.pressed === id ? icon('check') : nothing}</button>`,
    )}</div><div class="unseen" role="status">${this.pressed ? t('pressed') : nothing}</div>`
  }

  /** The message has not been stored yet, so nobody can change its card. */
  get #isUnsent(): boolean {
    return this.message.rev === 0
  }

  #checklist({ items, title }: Card) {
    const done = items.filter(item => item.done_by != null).length
    return html`<ul aria-label=${title || t('card')}>${items.map(item => this.#item(item))}</ul>
      <div class="foot"><span class="small">${t('done', { n: done, all: items.length })}</span>
        ${done > 0 ? this.#detailsButton('whoTicked') : nothing}</div>`
  }

  #item({ id, text, done_by, done_at }: ChecklistItem) {
    const done = done_by != null
    const by = done
      ? t('doneBy', { name: this.#name(done_by), time: done_at ? formatShortDate(done_at) : '' })
      : ''
    return html`<li><button class="line ${done ? 'done' : ''}" role="checkbox" aria-checked=${done} title=${by}
        ?disabled=${this.#isUnsent} @click=${() => changeCard(this.client, this.message, { item: id }, !done)}>
        <span class="box">${done ? icon('check') : nothing}</span><span class="what" dir="auto">${text}</span></button>
      ${done && this.detailed ? html`<div class="who">${by}</div>` : nothing}</li>`
  }

  #poll({ choices, multiple, closed, title }: Card) {
    const all = (choices ?? []).reduce((sum, { votes = 0 }) => sum + votes, 0)
    return html`<p class="small">${closed ? t('pollClosed') : multiple ? t('chooseSeveral') : t('chooseOne')}</p>
      <ul aria-label=${title || t('card')}>${choices?.map(choice => this.#choice(choice, all, Boolean(multiple), Boolean(closed)))}</ul>
      <div class="foot"><span class="small">${votesText(all)}</span>
        ${all > 0 ? this.#detailsButton('whoVoted') : nothing}
        ${closed || this.#isUnsent || this.message.sender.id !== this.client.me ? nothing : this.#closing()}</div>`
  }

  #choice(choice: PollChoice, all: number, multiple: boolean, closed: boolean) {
    const { id, text, votes = 0, users = [] } = choice
    const mine = !this.#isUnsent && isOwnVote(this.client, this.message, choice)
    const n = all > 0 ? Math.round((100 * votes) / all) : 0
    const names = users.map(user => this.#name(user))
    const others = votes - users.length
    const who = [...names, ...(others > 0 ? [t('moreVoters', { n: others })] : [])].join(', ')
    return html`<li><button class="line" role="checkbox" aria-checked=${mine} ?disabled=${closed || this.#isUnsent}
        aria-label=${t('share', { text, n, votes: votesText(votes) })}
        @click=${() => changeCard(this.client, this.message, { choice: id }, !mine)}>
        <span class="box ${multiple ? '' : 'round'}">${mine ? icon('check') : nothing}</span>
        <span class="what" dir="auto">${text}</span><span class="share">${votes} · ${n} %</span>
        <span class="bar"><i .style=${`--share: ${n}%`}></i></span></button>
      ${this.detailed ? html`<div class="who">${who || t('nobody')}</div>` : nothing}</li>`
  }

  #closing() {
    if (!this.confirming)
      return html`<button class="plain" @click=${() => {
        this.confirming = true
      }}>${t('closePoll')}</button>`
    return html`<span class="small">${t('closeSure')}</span>
      <button class="plain danger" @click=${this.#close}>${t('closePoll')}</button>
      <button class="plain" @click=${() => {
        this.confirming = false
      }}>${t('cancel')}</button>`
  }

  #detailsButton(text: 'whoTicked' | 'whoVoted') {
    return html`<button class="plain" aria-expanded=${this.detailed} @click=${() => {
      this.detailed = !this.detailed
    }}>${this.detailed ? t('hide') : t(text)}</button>`
  }

  #name(id: number): string {
    if (id === this.client.me) return t('you')
    const user = this.people.get(id)?.user
    return user ? nameOf(user) : t('formerUser')
  }

  #close = async (): Promise<void> => {
    this.error = ''
    this.confirming = false
    try {
      await closePoll(this.client, this.message)
    } catch (cause) {
      this.error = errorText(cause)
    }
  }

  async #press(id: string): Promise<void> {
    this.error = ''
    this.pressing = id
    this.pressed = ''
    try {
      await pressButton(this.client, this.message, id)
      this.pressed = id
    } catch (cause) {
      this.error = errorText(cause)
    } finally {
      this.pressing = ''
    }
  }

  async #readOwnVotes(): Promise<void> {
    if (!this.#isUnsent && (await readOwnVotes(this.client, this.message))) this.requestUpdate()
  }
}

function votesText(n: number): string {
  return n === 1 ? t('votes1') : t('votes', { n })
}
