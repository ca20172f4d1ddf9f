/** Beside a conversation: its people, its files, its settings. */
import { html, LitElement, nothing } from 'lit'
import type { Client } from '../client/client.ts'
import { ChatError } from '../client/rest.ts'
import type { Room, RoomView } from '../client/room.ts'
import type { Message, Participant, RestMessage, User } from '../client/wire.ts'
import { emit } from './events.ts'
import { type IconName, icon } from './icons.ts'
import { menuKeys, menuStyle } from './menu-style.ts'
import { momentOf } from './moment.ts'
import { panelStyle } from './panel-style.ts'
import { property, state } from './reactive.ts'
import type { Place } from './sheet.ts'
import { type TextKey, t, whyFailed } from './texts.ts'
import { base } from './theme.ts'
import { sizeOf } from './when.ts'

const TABS = ['panelPeople', 'panelFiles', 'panelSettings'] as const
type Tab = (typeof TABS)[number]

/** Pictures and documents shown. */
const FILES_PAGE = 60

export class ChatPanel extends LitElement {
  static override styles = [base, menuStyle, panelStyle]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) view!: RoomView
  @state() private tab: Tab = 'panelPeople'
  @state() private adding = false
  @state() private acting: { person: Participant; place: Place } | null = null
  /** What is asked about before it is done, for others feel it too. */
  @state() private asking: 'leave' | 'archive' | null = null
  @state() private files: { pictures: RestMessage[]; documents: RestMessage[] } | null = null
  @state() private trouble = ''

  override render() {
    const { timeline } = this.view
    if (!timeline) return nothing
    return html`<header><h2>${t('details')}</h2>
        <button class="icon" aria-label=${t('close')} @click=${() => emit(this, 'chat-close', null)}>${icon('close')}</button>
      </header>
      <div role="tablist" aria-label=${t('details')} @keydown=${this.#tabKeys}>${TABS.map(
        tab => html`<button role="tab" id=${tab} aria-selected=${tab === this.tab} aria-controls="pane"
          tabindex=${tab === this.tab ? 0 : -1} @click=${() => this.#open(tab)}>${t(tab)}</button>`,
      )}</div>
      <div role="tabpanel" id="pane" aria-labelledby=${this.tab} tabindex="0">
        ${this.trouble ? html`<p class="danger none" role="alert">${this.trouble}</p>` : nothing}
        ${this.tab === 'panelPeople' ? this.#people() : this.tab === 'panelFiles' ? this.#files() : this.#settings()}
      </div>
      ${this.#overlay()}`
  }

  get #mayRule(): boolean {
    return Boolean(this.room.self?.is_admin) && this.view.timeline!.room.room_type !== 'direct'
  }

  #people() {
    const people = [...this.view.timeline!.people.values()].toSorted((a, b) =>
      nameOf(a.user).localeCompare(nameOf(b.user)),
    )
    return html`${
      this.#mayRule
        ? html`<button class="add" @click=${() => {
            this.adding = true
          }}>${icon('plus')}${t('addPeople')}</button>`
        : nothing
    }
      <ul>${people.map(one => this.#person(one))}</ul>`
  }

  #person(one: Participant) {
    const name = nameOf(one.user)
    const online = this.view.online.has(one.user.id)
    const own = one.user.id === this.client.me
    const about = [own ? t('you') : '', one.is_admin ? t('admin') : '', online ? t('online') : ''].filter(
      Boolean,
    )
    return html`<li class="person">
      <chat-avatar .name=${name} .key=${String(one.user.id)} ?online=${online}></chat-avatar>
      <span><span class="cut" dir="auto">${name}</span><span class="small">${about.join(', ') || `@${one.user.username}`}</span></span>
      ${
        this.#mayRule && !own
          ? html`<button class="icon" aria-label=${t('personActions', { name })} @click=${(
              event: MouseEvent,
            ) => {
              const { left, bottom } = (event.currentTarget as Element).getBoundingClientRect()
              this.acting = { person: one, place: { x: left, y: bottom } }
            }}>${icon('more')}</button>`
          : nothing
      }
    </li>`
  }

  #files() {
    const { files } = this
    if (!files) return html`<p class="none small" role="status">${t('loading')}</p>`
    if (files.pictures.length + files.documents.length === 0) {
      return html`<div class="none"><b>${t('noFiles')}</b><p class="small">${t('noFilesHint')}</p></div>`
    }
    return html`<div class="tiles">${files.pictures.map(
      one => html`<button aria-label=${t('openImage', { name: one.attachment_name ?? '' })}
        @click=${() => emit(this, 'chat-file', framed(one))}><img src=${one.attachment!} alt="" loading="lazy" /></button>`,
    )}</div>
    <ul>${files.documents.map(
      one => html`<li><a class="doc" href=${one.attachment!} download=${one.attachment_name} target="_blank" rel="noopener">
        ${icon('file')}<span><span class="cut">${one.attachment_name}</span>
        <span class="small cut">${sizeOf(one.attachment_size ?? 0)}, ${nameOf(one.sender)}, ${momentOf(one.created_at)}</span></span></a></li>`,
    )}</ul>`
  }

  #settings() {
    const { room } = this.view.timeline!
    const muted = this.client.inbox.rooms.find(one => one.id === this.room.id)?.is_muted ?? false
    const archived = room.archived_at !== null
    return html`
      ${
        this.#mayRule && room.room_type === 'group'
          ? html`<label for="name" class="small">${t('roomName')}</label><form @submit=${this.#rename}>
            <input id="name" name="name" maxlength="255" required .value=${room.name} />
            <button class="plain">${t('rename')}</button></form>`
          : nothing
      }
      ${muted ? row('bell', 'unmute', () => this.#mute(false), 'unmuteHint') : row('mute', 'mute', () => this.#mute(true), 'muteHint')}
      ${
        !this.#mayRule
          ? nothing
          : archived
            ? row('archive', 'unarchive', () => this.#archive(false), 'unarchiveHint')
            : row('archive', 'archive', () => this.#ask('archive'), 'archiveHint')
      }
      ${row('leave', 'leave', () => this.#ask('leave'), undefined, true)}
    `
  }

  #overlay() {
    const stop = (event: Event) => {
      event.stopPropagation()
      this.adding = false
      this.acting = null
      this.asking = null
    }
    if (this.adding) {
      return html`<chat-sheet .label=${t('addPeople')} @chat-close=${stop}>
        <chat-people-picker .client=${this.client} .without=${new Set(this.view.timeline!.people.keys())}
          .choose=${(user: User) => this.#add(user)}></chat-people-picker></chat-sheet>`
    }
    const { asking } = this
    if (asking) {
      const act = () => (asking === 'leave' ? this.#leave() : this.#archive(true))
      return html`<chat-sheet .label=${t(asking)} @chat-close=${stop}><div class="none"><p>${t(`${asking}Sure`)}</p><br />
        <button class="solid danger" @click=${act}>${t(asking)}</button>
        <button class="plain" @click=${stop}>${t('cancel')}</button></div></chat-sheet>`
    }
    const { acting } = this
    if (!acting) return nothing
    const { person } = acting
    return html`<chat-sheet .anchor=${acting.place} .label=${t('personActions', { name: nameOf(person.user) })} @chat-close=${stop}>
      <div class="menu" role="menu" aria-label=${t('menu')} @keydown=${menuKeys}>
        <button role="menuitem" @click=${() => this.#promote(person)}>${icon('star')}${t(person.is_admin ? 'dropAdmin' : 'makeAdmin')}</button>
        <button role="menuitem" class="danger" @click=${() => this.#takeOut(person)}>${icon('leave')}${t('takeOut')}</button>
      </div></chat-sheet>`
  }

  #open(tab: Tab): void {
    this.tab = tab
    this.trouble = ''
    if (tab === 'panelFiles') void this.#loadFiles()
  }

  #tabKeys = (event: KeyboardEvent): void => {
    const ahead = this.matches(':dir(rtl)') ? -1 : 1
    const step = { ArrowLeft: -ahead, ArrowRight: ahead }[event.key]
    if (step === undefined) return
    this.#open(TABS[(TABS.indexOf(this.tab) + step + TABS.length) % TABS.length]!)
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(`#${this.tab}`)?.focus())
  }

  async #loadFiles(): Promise<void> {
    const read = async (message_type: 'image' | 'file') => {
      const query = { room: this.room.id, message_type, page_size: FILES_PAGE }
      const { data } = await this.client.api.GET('/api/chat/messages/', { params: { query } })
      return data.results.filter(one => one.attachment)
    }
    await this.#try(async () => {
      const [pictures, documents] = await Promise.all([read('image'), read('file')])
      this.files = { pictures, documents }
    })
  }

  #add(user: User): Promise<void> {
    this.adding = false
    return this.#try(() =>
      this.client.api.POST('/api/chat/participants/', { body: { room: this.room.id, user: user.id } }),
    )
  }

  #promote(person: Participant): Promise<void> {
    this.acting = null
    const options = { params: { path: { id: person.id } }, body: { is_admin: !person.is_admin } }
    return this.#try(() => this.client.api.PATCH('/api/chat/participants/{id}/', options))
  }

  #takeOut(person: Participant): Promise<void> {
    this.acting = null
    const options = { params: { path: { id: person.id } } }
    return this.#try(() => this.client.api.DELETE('/api/chat/participants/{id}/', options))
  }

  #rename = (event: SubmitEvent): void => {
    event.preventDefault()
    const name = String(new FormData(event.target as HTMLFormElement).get('name')).trim()
    const options = { params: { path: { id: this.room.id } }, body: { name } }
    if (name) void this.#try(() => this.client.api.PATCH('/api/chat/rooms/{id}/', options))
  }

  #mute(muted: boolean): Promise<void> {
    return this.#try(async () => {
      const options = { params: { path: { id: this.room.self!.id } }, body: { muted } }
      await this.client.api.POST('/api/chat/participants/{id}/mute/', options)
      await this.client.list()
    })
  }

  #ask(about: 'leave' | 'archive'): void {
    this.asking = about
  }

  #archive(archived: boolean): Promise<void> {
    this.asking = null
    const options = { params: { path: { id: this.room.id } } }
    return this.#try(() =>
      archived
        ? this.client.api.POST('/api/chat/rooms/{id}/archive/', options)
        : this.client.api.POST('/api/chat/rooms/{id}/unarchive/', options),
    )
  }

  async #leave(): Promise<void> {
    this.asking = null
    await this.#try(() =>
      this.client.api.POST('/api/chat/rooms/{id}/leave/', { params: { path: { id: this.room.id } } }),
    )
  }

  async #try(act: () => Promise<unknown>): Promise<void> {
    this.trouble = ''
    try {
      await act()
    } catch (cause) {
      this.trouble =
        cause instanceof ChatError && cause.status === 400 && cause.message ? cause.message : why(cause)
    }
    this.requestUpdate()
  }
}

function why(cause: unknown): string {
  return whyFailed(cause instanceof ChatError ? cause.code : 'other')
}

function nameOf(user: User): string {
  return user.full_name || user.username
}

/** A message of REST as frames have it. */
function framed(message: RestMessage): Message {
  return { ...message, room_id: message.room }
}

function row(sign: IconName, text: TextKey, act: () => unknown, hint?: TextKey, danger = false) {
  return html`<button class="row ${danger ? 'danger' : ''}" @click=${act}>${icon(sign)}
    <span>${t(text)}${hint ? html`<span class="small">${t(hint)}</span>` : nothing}</span></button>`
}
