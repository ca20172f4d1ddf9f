/**
 * The emoji picker: those used last and all groups, or what a search finds, with the data of emoji-picker-element.
 *
 * The whole element of that package would break the page's policy, because it contains inline styles.
 */
import Database from 'emoji-picker-element/database'
import dataUrl from 'emoji-picker-element-data/en/cldr/data.json?url'
import { css, html, LitElement } from 'lit'
import { query, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { recentEmoji, rememberEmoji } from '../shared/recent-emoji.ts'
import { searchField, searchFieldStyle } from '../shared/search-field.ts'
import { t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'

/** The groups of the data in display order, each with the emoji that stands for it. */
const GROUPS = [
  { id: 0, text: 'emojiFaces', sign: '😀' },
  { id: 1, text: 'emojiPeople', sign: '👋' },
  { id: 3, text: 'emojiNature', sign: '🐻' },
  { id: 4, text: 'emojiFood', sign: '🍎' },
  { id: 5, text: 'emojiPlaces', sign: '🏠' },
  { id: 6, text: 'emojiActivities', sign: '⚽' },
  { id: 7, text: 'emojiObjects', sign: '💡' },
  { id: 8, text: 'emojiSymbols', sign: '✅' },
] as const
const RECENT_MAX = 24
/** Maximum number of search results. */
const FOUND_MAX = 80
/** A hand in each skin tone, from none to dark. */
const TONES = ['✋', '✋🏻', '✋🏼', '✋🏽', '✋🏾', '✋🏿']

interface Emoji {
  readonly unicode: string
  readonly name: string
}

interface Section {
  readonly id: string
  readonly title: string
  readonly sign: string
  readonly emoji: readonly Emoji[]
}

type DatabaseEmoji = Awaited<ReturnType<Database['getEmojiBySearchQuery']>>[number]

export class ChatEmoji extends LitElement {
  static override styles = [
    base,
    searchFieldStyle,
    css`
      :host {
        display: grid;
        grid-template: auto auto 1fr / 1fr auto;
        height: 380px;
        padding: 12px;
        gap: 8px;
      }
      .sections,
      .grid,
      .tones {
        grid-column: 1 / -1;
      }
      .sections,
      .tones {
        display: flex;
        justify-content: space-between;
      }
      .sections button,
      .tones button {
        flex: 1;
        min-width: 0;
        height: 36px;
        border-radius: 8px;
        font-size: 18px;
        text-align: center;
      }
      .sections [aria-current='true'],
      .tones [aria-checked='true'] {
        background: var(--_wash);
        box-shadow: inset 0 -2px var(--_accent);
      }
      .tones {
        padding: 4px;
        border-radius: 12px;
        background: var(--_surface-2);
      }
      .tone {
        width: 40px;
        height: 40px;
        border-radius: 50%;
        font-size: 20px;
        text-align: center;
      }
      .grid {
        overflow: auto;
        overscroll-behavior: contain;
        scrollbar-width: thin;
      }
      section {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(40px, 1fr));
        content-visibility: auto;
        contain-intrinsic-size: auto 1200px;
      }
      section p {
        grid-column: 1 / -1;
        padding: 8px 4px 4px;
      }
      section button {
        height: 44px;
        border-radius: 10px;
        font-size: 24px;
        text-align: center;
      }
      button:hover {
        background: var(--_hover);
      }
      .none {
        padding: 24px;
        text-align: center;
      }
      @media (pointer: coarse) {
        .sections button,
        .tones button,
        .tone {
          height: 44px;
        }
        .tone {
          width: 44px;
        }
      }
    `,
  ]

  @state() private sections: readonly Section[] = []
  /** What the search has found; null without one. */
  @state() private found: readonly Emoji[] | null = null
  @state() private term = ''
  @state() private tone = 0
  @state() private choosingTone = false
  /** The section at the top of the grid. */
  @state() private current = ''
  @query('input') private input!: HTMLInputElement
  @query('.grid') private grid!: HTMLElement
  #database = new Database({ dataSource: dataUrl })

  override connectedCallback(): void {
    super.connectedCallback()
    void this.#load()
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback()
    void this.#database.close()
  }

  override render() {
    const { found, tone } = this
    return html`${searchField(t('searchEmoji'), this.term, this.#onInput, this.#onSearchKeydown)}
      <button class="tone" aria-label=${t('skinTone')} title=${t('skinTone')} aria-expanded=${this.choosingTone} @click=${() => {
        this.choosingTone = !this.choosingTone
      }}>${TONES[tone]}</button>
      ${this.choosingTone ? this.#tones() : this.#sectionButtons()}
      <div class="grid" @scroll=${this.#onScroll} @keydown=${this.#onGridKeydown}>${
        found ? this.#results(found) : this.sections.map(section => this.#section(section))
      }</div>`
  }

  #tones() {
    return html`<div class="tones" role="radiogroup" aria-label=${t('skinTone')}>${TONES.map(
      (sign, tone) => html`<button role="radio" aria-checked=${tone === this.tone}
        aria-label=${`${t('skinTone')} ${tone + 1}`} @click=${() => this.#chooseTone(tone)}>${sign}</button>`,
    )}</div>`
  }

  #sectionButtons() {
    return html`<div class="sections" role="group" aria-label=${t('emojiGroups')}>${this.sections.map(
      ({ id, title, sign }) =>
        html`<button aria-label=${title} title=${title} aria-current=${
          !this.found && id === this.current
        } @click=${() => this.#showSection(id)}>${sign}</button>`,
    )}</div>`
  }

  #section({ id, title, emoji }: Section) {
    return html`<section id=${id} aria-label=${title}><p class="small" aria-hidden="true">${title}</p>${emoji.map(one => this.#emoji(one))}</section>`
  }

  #results(found: readonly Emoji[]) {
    if (found.length === 0)
      return html`<p class="none small" role="status">${t('noFound', { q: this.term })}</p>`
    return html`<section aria-label=${t('emoji')}>${found.map(one => this.#emoji(one))}</section>`
  }

  #emoji({ unicode, name }: Emoji) {
    return html`<button aria-label=${name} title=${name} @click=${() => this.#select(unicode)}>${unicode}</button>`
  }

  #select(value: string): void {
    rememberEmoji(value)
    emit(this, 'chat-select', { value })
  }

  async #load(): Promise<void> {
    this.tone = await this.#database.getPreferredSkinTone()
    const recent = recentEmoji(RECENT_MAX)
    const [named, groups] = await Promise.all([
      Promise.all(recent.map(async unicode => ({ unicode, name: await this.#nameOf(unicode) }))),
      Promise.all(GROUPS.map(async ({ id }) => this.#shown(await this.#database.getEmojiByGroup(id)))),
    ])
    this.sections = [
      { id: 'recent', title: t('emojiRecent'), sign: '🕘', emoji: named },
      ...GROUPS.map(({ id, text, sign }, index) => ({
        id: `group${id}`,
        title: t(text),
        sign,
        emoji: groups[index]!,
      })),
    ]
    this.current ||= 'recent'
  }

  async #nameOf(unicode: string): Promise<string> {
    const known = await this.#database.getEmojiByUnicodeOrName(unicode)
    return known && 'annotation' in known ? known.annotation : unicode
  }

  /** Returns emoji in the skin tone that the user prefers. */
  #shown(all: readonly DatabaseEmoji[]): Emoji[] {
    return all.flatMap(one => {
      if (!('unicode' in one)) return []
      const skin = one.skins?.find(({ tone }) => tone === this.tone)
      return [{ unicode: (skin ?? one).unicode, name: one.annotation }]
    })
  }

  #onInput = (): void => {
    this.term = this.input.value
    void this.#search(this.term.trim())
  }

  async #search(term: string): Promise<void> {
    const found =
      term.length > 1
        ? this.#shown((await this.#database.getEmojiBySearchQuery(term)).slice(0, FOUND_MAX))
        : null
    if (term === this.term.trim()) this.found = found
  }

  async #chooseTone(tone: number): Promise<void> {
    await this.#database.setPreferredSkinTone(tone)
    this.choosingTone = false
    await this.#load()
    await this.#search(this.term.trim())
  }

  #showSection(id: string): void {
    this.term = ''
    this.found = null
    void this.updateComplete.then(() => {
      const section = this.renderRoot.querySelector<HTMLElement>(`#${id}`)!
      this.grid.scrollTop = section.offsetTop - this.grid.offsetTop
      this.current = id
    })
  }

  #onScroll = (): void => {
    if (this.found) return
    const sections = [...this.grid.querySelectorAll('section')]
    const top = this.grid.scrollTop + this.grid.offsetTop + 8
    const last = sections.findLast(section => section.offsetTop <= top)
    this.current = last?.id ?? 'recent'
  }

  /** Enter selects the first result, and the arrow leads into the grid. */
  #onSearchKeydown = (event: KeyboardEvent): void => {
    if (event.isComposing) return
    const [first] = this.found ?? []
    if (event.key === 'Enter' && first) {
      event.preventDefault()
      this.#select(first.unicode)
    } else if (event.key === 'ArrowDown') {
      event.preventDefault()
      this.grid.querySelector('button')?.focus()
    }
  }

  /** Moves the focus among the emoji with the arrow keys. */
  #onGridKeydown = (event: KeyboardEvent): void => {
    const from = (this.renderRoot as ShadowRoot).activeElement
    const section = from?.closest('section')
    if (!from || !section) return
    const columns = getComputedStyle(section).gridTemplateColumns.split(' ').length
    const direction = this.matches(':dir(rtl)') ? -1 : 1
    const step = { ArrowRight: direction, ArrowLeft: -direction, ArrowDown: columns, ArrowUp: -columns }[
      event.key
    ]
    if (step === undefined) return
    event.preventDefault()
    const all = [...this.grid.querySelectorAll('button')]
    const index = all.indexOf(from as HTMLButtonElement) + step
    if (index < 0) this.input.focus()
    else all[Math.min(index, all.length - 1)]?.focus()
  }
}
