/** The filters of a message search: who wrote it, in which room, what it has, and when. */
import { css, html, LitElement, nothing, type PropertyValues } from 'lit'
import type { SearchFilters } from '../../client/search.ts'
import type { HasFilter } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { type TextKey, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

/** Someone or something to choose, by name. */
export interface Choice {
  readonly id: string
  readonly name: string
}

const HAS: readonly (readonly [HasFilter, TextKey])[] = [
  ['image', 'hasImage'],
  ['file', 'hasFile'],
  ['link', 'hasLink'],
]

type DateName = 'after' | 'before'

export class ChatSearchFilters extends LitElement {
  static override styles = [
    base,
    css`
      :host {
        display: flex;
        flex: none;
        gap: 8px;
        padding: 4px 12px;
        overflow-x: auto;
        scrollbar-width: none;
      }
      button,
      select,
      label {
        display: flex;
        align-items: center;
        flex: none;
        gap: 4px;
        min-height: 32px;
        max-width: 180px;
        padding: 0 12px;
        border: 1px solid var(--_line);
        border-radius: 22px;
        background: var(--_surface);
        color: var(--_text-2);
        font: inherit;
        font-size: 13px;
      }
      label {
        max-width: none;
      }
      input {
        width: auto;
        min-height: 0;
        padding: 0;
        border: 0;
        border-radius: 4px;
        background: none;
        color: var(--_text);
      }
      .on {
        border-color: transparent;
        background: var(--_mine);
        color: var(--_text);
      }
      @media (pointer: coarse) {
        button,
        select,
        label,
        input {
          min-height: 44px;
        }
      }
      @media (forced-colors: active) {
        .on {
          border-color: Highlight;
        }
      }
    `,
  ]

  @property({ attribute: false }) filters: SearchFilters = {}
  @property({ attribute: false }) people: readonly Choice[] = []
  /** The rooms to choose from; none where the room is given. */
  @property({ attribute: false }) rooms: readonly Choice[] = []
  @property({ attribute: false }) onChange: (filters: SearchFilters) => void = () => {}

  /** The date whose field has been asked for last. */
  @state() private asked: DateName | null = null

  override updated(changed: PropertyValues<this>): void {
    if (this.asked && changed.has('asked' as keyof ChatSearchFilters))
      this.renderRoot.querySelector('input')?.focus()
  }

  override connectedCallback(): void {
    super.connectedCallback()
    if (!this.hasAttribute('role')) this.setAttribute('role', 'group')
    this.setAttribute('aria-label', t('searchFilters'))
  }

  override render() {
    const { has } = this.filters
    return html`${this.#select('from', 'filterFrom', this.people)}
      ${this.rooms.length > 0 ? this.#select('room', 'filterIn', this.rooms) : nothing}
      ${HAS.map(
        ([value, text]) => html`<button class=${value === has ? 'on' : ''} aria-pressed=${value === has}
          @click=${() => this.#set('has', value === has ? undefined : value)}>${t(text)}</button>`,
      )}
      ${this.#date('after', 'filterAfter')} ${this.#date('before', 'filterBefore')}`
  }

  #select(name: 'from' | 'room', text: TextKey, choices: readonly Choice[]) {
    const value = this.filters[name] ?? ''
    return html`<select class=${value ? 'on' : ''} aria-label=${t(text)} @change=${(event: Event) =>
      this.#set(name, (event.target as HTMLSelectElement).value || undefined)}>
      <option value="">${t(text)}</option>
      ${choices.map(({ id, name }) => html`<option value=${id} ?selected=${id === value}>${name}</option>`)}
    </select>`
  }

  /** A date has a field once it has been asked for. */
  #date(name: DateName, text: TextKey) {
    const value = this.filters[name] ?? ''
    if (!value && this.asked !== name) {
      return html`<button @click=${() => {
        this.asked = name
      }}>${t(text)}</button>`
    }
    return html`<label class=${value ? 'on' : ''}>${t(text)}<input type="date" .value=${value} @change=${(
      event: Event,
    ) => this.#set(name, (event.target as HTMLInputElement).value || undefined)} /></label>`
  }

  #set<K extends keyof SearchFilters>(name: K, value: SearchFilters[K]): void {
    this.filters = { ...this.filters, [name]: value }
    this.onChange(this.filters)
  }
}
