/**
 * Completes the commands of a room's bots, while one is typed at the start of the text.
 *
 * As with mentions, the list belongs to the text field and the focus stays there.
 */
import { html, render } from 'lit'
import { type BotCommand, readCommands } from '../../client/bot-commands.ts'
import type { Client } from '../../client/client.ts'
import { t } from '../shared/texts.ts'
import { nameOf } from '../shared/user-name.ts'
import type { ChatComposer } from './composer.ts'
import { keepFocus, listStyle } from './mention-completion.ts'

/** Commands that are offered at once. */
const OFFERED_MAX = 8
/** The text while the name of a command is typed. */
const TYPED = /^\/([a-z0-9_-]*)$/

export class CommandCompletion {
  #client: Client | null = null
  #room = ''
  /** The room's commands, once they are needed: as they are when a slash is typed. */
  #commands: Promise<readonly BotCommand[]> | null = null
  #options: readonly BotCommand[] = []
  #selected = 0
  #dismissed = false
  #list: HTMLElement | null = null

  constructor(
    host: HTMLElement,
    private readonly composer: () => ChatComposer | null,
  ) {
    host.addEventListener('input', () => void this.#update())
    host.addEventListener('focusout', () => this.close())
    host.addEventListener('keydown', event => this.#onKeydown(event), { capture: true })
  }

  /** Completes for a room. */
  use(client: Client, room: string): void {
    this.close()
    this.#client = client
    this.#room = room
    this.#commands = null
  }

  /** Returns the room's commands; none if they can't be read. */
  load(): Promise<readonly BotCommand[]> {
    this.#commands ??= readCommands(this.#client!, this.#room).catch(() => [])
    return this.#commands
  }

  close(): void {
    this.#options = []
    this.#render()
  }

  get #area(): HTMLTextAreaElement | null {
    return this.composer()?.renderRoot.querySelector('textarea') ?? null
  }

  /** Offers the commands that begin with what is typed. */
  async #update(): Promise<void> {
    const value = this.#area?.value ?? ''
    if (!value.startsWith('/')) {
      // They are read again with the next slash.
      this.#commands = null
      this.#dismissed = false
    }
    const typed = TYPED.exec(value)?.[1]
    if (typed === undefined || this.#dismissed || this.composer()?.editing) {
      if (this.#options.length > 0) this.close()
      return
    }
    const commands = await this.load()
    // Meanwhile another text may be there.
    if (this.#area?.value !== value) return
    this.#options = commands.filter(({ name }) => name.startsWith(typed)).slice(0, OFFERED_MAX)
    this.#selected = 0
    this.#render()
  }

  #onKeydown(event: KeyboardEvent): void {
    const { length } = this.#options
    if (event.isComposing || length === 0 || event.composedPath()[0] !== this.#area) return
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    const option = this.#options[this.#selected]!
    if (step !== undefined) {
      this.#selected = (this.#selected + step + length) % length
      this.#render()
      this.#list?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' })
    } else if (event.key === 'Tab' || (event.key === 'Enter' && this.#area?.value !== `/${option.name}`)) {
      if (event.shiftKey) return
      this.#choose(option)
    } else if (event.key === 'Escape') {
      this.#dismissed = true
      this.close()
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  #choose({ name }: BotCommand): void {
    const area = this.#area
    if (!area) return
    area.setRangeText(`/${name} `, 0, area.value.length, 'end')
    this.close()
    area.dispatchEvent(new InputEvent('input', { bubbles: true, composed: true }))
    area.focus()
  }

  #render(): void {
    const area = this.#area
    const root = this.composer()?.renderRoot as ShadowRoot | undefined
    const isOpen = this.#options.length > 0
    if (!area || !root || (!isOpen && !this.#list)) return
    if (isOpen) {
      area.setAttribute('aria-autocomplete', 'list')
      area.setAttribute('aria-controls', 'commands')
      area.setAttribute('aria-activedescendant', `command${this.#selected}`)
    } else if (area.getAttribute('aria-controls') === 'commands')
      for (const name of ['autocomplete', 'controls', 'activedescendant'])
        area.removeAttribute(`aria-${name}`)
    if (!this.#list?.isConnected || this.#list.getRootNode() !== root) {
      this.#list = document.createElement('div')
      root.append(this.#list)
      const sheet = listStyle.styleSheet!
      if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet)
    }
    render(isOpen ? this.#template() : '', this.#list)
  }

  #template() {
    return html`<div class="mentions">
      <div role="listbox" id="commands" aria-label=${t('commandList')} @mousedown=${keepFocus}>${this.#options.map(
        (
          option,
          index,
        ) => html`<div role="option" id=${`command${index}`} aria-selected=${index === this.#selected}
          @click=${() => this.#choose(option)}>
          <chat-avatar .name=${nameOf(option.bot)} .key=${String(option.bot.id)}></chat-avatar>
          <span class="cut" dir="auto">/${option.name} <span class="small">${option.hint}</span></span>
          <span class="small cut" dir="auto">${option.description || nameOf(option.bot)}</span></div>`,
      )}</div></div>
      <div class="unseen" role="status">${t('mentionCount', { n: this.#options.length })}</div>`
  }
}
