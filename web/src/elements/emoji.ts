/** A picker of emoji, over the data and the search of emoji-picker-element. */
import Database from 'emoji-picker-element/database'
import dataUrl from 'emoji-picker-element-data/en/cldr/data.json?url'
import { css, html, LitElement } from 'lit'
import { emit } from './events.ts'
import { query, state } from './reactive.ts'
import { searchField, searchFieldStyle } from './search-field.ts'
import { t } from './texts.ts'
import { base } from './theme.ts'

/** The groups of emoji that are shown, in their order: faces, people, animals, food, places, fun, things, signs. */
const GROUPS = [0, 1, 3, 4, 5, 6, 7, 8]
/** A search shows at most this many. */
const FOUND_MAX = 80

export class ChatEmoji extends LitElement {
  static override styles = [
    base,
    searchFieldStyle,
    css`
      :host {
        display: grid;
        grid-template-rows: auto 1fr;
        height: 340px;
        padding: 12px;
        gap: 8px;
      }
      .grid {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(40px, 1fr));
        align-content: start;
        overflow: auto;
        overscroll-behavior: contain;
      }
      .grid button {
        height: 44px;
        border-radius: 10px;
        font-size: 24px;
        text-align: center;
      }
      .grid button:hover {
        background: var(--_hover);
      }
    `,
  ]

  @state() private list: readonly { unicode: string; name: string }[] = []
  @state() private term = ''
  @query('input') private input!: HTMLInputElement
  #database = new Database({ dataSource: dataUrl })

  override connectedCallback(): void {
    super.connectedCallback()
    void this.#show()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    void this.#database.close()
  }

  override render() {
    return html`${searchField(t('searchEmoji'), this.term, () => {
      this.term = this.input.value
      void this.#show()
    })}
      <div class="grid" role="group" aria-label=${t('emoji')}>${this.list.map(
        one => html`<button aria-label=${one.name} title=${one.name}
          @click=${() => emit(this, 'chat-pick', { value: one.unicode })}>${one.unicode}</button>`,
      )}</div>`
  }

  async #show(): Promise<void> {
    const term = this.term.trim()
    const found =
      term.length > 1
        ? (await this.#database.getEmojiBySearchQuery(term)).slice(0, FOUND_MAX)
        : (await Promise.all(GROUPS.map(group => this.#database.getEmojiByGroup(group)))).flat()
    this.list = found.flatMap(one =>
      'unicode' in one ? [{ unicode: one.unicode, name: one.annotation }] : [],
    )
  }
}
