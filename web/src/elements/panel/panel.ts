/** The details of a room: its participants, files and settings. */
import { html, LitElement, nothing, type PropertyValues } from 'lit'
import type { Client } from '../../client/client.ts'
import { ChatError } from '../../client/errors.ts'
import type { Room, RoomView } from '../../client/room.ts'
import type { Message, Participant, RestMessage, User } from '../../client/wire.ts'
import { property, state } from '../shared/decorators.ts'
import { emit } from '../shared/events.ts'
import { formatSize } from '../shared/file-size.ts'
import { type IconName, icon } from '../shared/icons.ts'
import { menuItem, menuKeys, menuStyle } from '../shared/menu.ts'
import { may } from '../shared/permissions.ts'
import type { AnchorPoint } from '../shared/sheet.ts'
import { formatShortDate } from '../shared/short-date.ts'
import { errorText, type TextKey, t } from '../shared/texts.ts'
import { base } from '../shared/theme.ts'
import { nameOf } from '../shared/user-name.ts'
import { panelStyle } from './panel-style.ts'

const TABS = ['panelPeople', 'panelFiles', 'panelSettings'] as const
type Tab = (typeof TABS)[number]

/** Maximum number of images, and of documents. */
const FILES_PAGE = 60

/** Returns a message once for each of its files, as if it had only that one. */
function filesOf(message: RestMessage): RestMessage[] {
  return message.attachments.flatMap(({ url, name, size, kind }) =>
    url
      ? [
          {
            ...message,
            attachment: url,
            attachment_name: name,
            attachment_size: size,
            message_type: kind === 'image' ? 'image' : 'file',
          },
        ]
      : [],
  )
}

export class ChatPanel extends LitElement {
  static override styles = [base, menuStyle, panelStyle]

  @property({ attribute: false }) client!: Client
  @property({ attribute: false }) room!: Room
  @property({ attribute: false }) view!: RoomView
  @state() private tab: Tab = 'panelPeople'
  @state() private adding = false
  @state() private menu: { participant: Participant; anchor: AnchorPoint } | null = null
  /** The action that the user has to confirm. */
  @state() private confirming: 'leave' | 'archive' | null = null
  @state() private files: { images: RestMessage[]; documents: RestMessage[] } | null = null
  @state() private error = ''

  override willUpdate(changed: PropertyValues<this>): void {
    if (changed.get('room')) this.#onRoomChange()
  }

  override render() {
    const { timeline } = this.view
    if (!timeline) return nothing
    return html`<header><h2>${t('details')}</h2>
        <button class="icon" aria-label=${t('close')} @click=${() => emit(this, 'chat-close', null)}>${icon('close')}</button>
      </header>
      <div role="tablist" aria-label=${t('details')} @keydown=${this.#onTabKeydown}>${TABS.map(
        tab => html`<button role="tab" id=${tab} aria-selected=${tab === this.tab} aria-controls="pane"
          tabindex=${tab === this.tab ? 0 : -1} @click=${() => this.#openTab(tab)}>${t(tab)}</button>`,
      )}</div>
      <div role="tabpanel" id="pane" aria-labelledby=${this.tab} tabindex="0">
        ${this.error ? html`<p class="danger none" role="alert">${this.error}</p>` : nothing}
        ${this.tab === 'panelPeople' ? this.#people() : this.tab === 'panelFiles' ? this.#files() : this.#settings()}
      </div>
      ${this.#dialog()}`
  }

  get #isAdmin(): boolean {
    return may(this.room, this.client, 'manage')
  }

  #people() {
    const people = [...this.view.timeline!.people.values()].toSorted((a, b) =>
      nameOf(a.user).localeCompare(nameOf(b.user)),
    )
    return html`${
      this.#isAdmin
        ? html`<button class="add" @click=${() => {
            this.adding = true
          }}>${icon('plus')}${t('addPeople')}</button>`
        : nothing
    }
      <ul>${people.map(participant => this.#participant(participant))}</ul>`
  }

  #participant(participant: Participant) {
    const { user, is_admin, external } = participant
    const name = nameOf(user)
    const online = this.view.online.has(user.id)
    const own = user.id === this.client.me
    const role = is_admin ? t('admin') : external ? t('guest') : ''
    const labels = [own ? t('you') : '', role, online ? t('online') : ''].filter(Boolean)
    return html`<li class="person">
      <chat-avatar .name=${name} .key=${String(user.id)} ?online=${online}></chat-avatar>
      <span><span class="cut" dir="auto">${name}</span><span class="small">${labels.join(', ') || `@${user.username}`}</span></span>
      ${
        this.#isAdmin && !own
          ? html`<button class="icon" aria-label=${t('personActions', { name })} @click=${(
              event: MouseEvent,
            ) => {
              const { left, bottom } = (event.currentTarget as Element).getBoundingClientRect()
              this.menu = { participant, anchor: { x: left, y: bottom } }
            }}>${icon('more')}</button>`
          : nothing
      }
    </li>`
  }

  #files() {
    const { files } = this
    if (!files) return html`<p class="none small" role="status">${t('loading')}</p>`
    if (files.images.length + files.documents.length === 0) {
      return html`<div class="none"><b>${t('noFiles')}</b><p class="small">${t('noFilesHint')}</p></div>`
    }
    return html`<div class="tiles">${files.images.map(
      one => html`<button aria-label=${t('openImage', { name: one.attachment_name ?? '' })}
        @click=${() => emit(this, 'chat-file', toMessage(one))}><img src=${one.attachment!} alt="" loading="lazy" /></button>`,
    )}</div>
    <ul>${files.documents.map(
      one => html`<li><a class="doc" href=${one.attachment!} download=${one.attachment_name} target="_blank" rel="noopener">
        ${icon('file')}<span><span class="cut">${one.attachment_name}</span>
        <span class="small cut">${formatSize(one.attachment_size ?? 0)}, ${nameOf(one.sender)}, ${formatShortDate(one.created_at)}</span></span></a></li>`,
    )}</ul>`
  }

  #settings() {
    const { room } = this.view.timeline!
    const muted = this.client.inbox.rooms.find(one => one.id === this.room.id)?.is_muted ?? false
    const archived = room.archived_at !== null
    return html`
      ${
        this.#isAdmin && room.room_type === 'group'
          ? html`<label for="name" class="small">${t('roomName')}</label><form @submit=${this.#onRename}>
            <input id="name" name="name" maxlength="255" required .value=${room.name} />
            <button class="plain">${t('rename')}</button></form>`
          : nothing
      }
      <chat-room-settings .client=${this.client} .room=${this.room} .view=${this.view}></chat-room-settings>
      <chat-room-level .client=${this.client} .room=${this.room}></chat-room-level>
      ${muted ? settingsRow('bell', 'unmute', () => this.#mute(false), 'unmuteHint') : settingsRow('mute', 'mute', () => this.#mute(true), 'muteHint')}
      ${
        !this.#isAdmin
          ? nothing
          : archived
            ? settingsRow('archive', 'unarchive', () => this.#archive(false), 'unarchiveHint')
            : settingsRow('archive', 'archive', () => this.#confirm('archive'), 'archiveHint')
      }
      ${settingsRow('leave', 'leave', () => this.#confirm('leave'), undefined, true)}
    `
  }

  #dialog() {
    const close = (event: Event) => {
      event.stopPropagation()
      this.adding = false
      this.menu = null
      this.confirming = null
    }
    if (this.adding) {
      return html`<chat-sheet .label=${t('addPeople')} @chat-close=${close}>
        <chat-people-picker .client=${this.client} .excluded=${new Set(this.view.timeline!.people.keys())}
          .onSelect=${(user: User) => this.#addUser(user)}></chat-people-picker></chat-sheet>`
    }
    const { confirming } = this
    if (confirming) {
      const action = () => (confirming === 'leave' ? this.#leave() : this.#archive(true))
      return html`<chat-sheet .label=${t(confirming)} @chat-close=${close}><div class="none"><p>${t(`${confirming}Sure`)}</p><br />
        <button class="solid danger" @click=${action}>${t(confirming)}</button>
        <button class="plain" @click=${close}>${t('cancel')}</button></div></chat-sheet>`
    }
    const { menu } = this
    if (!menu) return nothing
    const { participant, anchor } = menu
    return html`<chat-sheet .anchor=${anchor} .label=${t('personActions', { name: nameOf(participant.user) })} @chat-close=${close}>
      <div class="menu" role="menu" aria-label=${t('menu')} @keydown=${menuKeys}>
        ${menuItem(participant.is_admin ? 'dropAdmin' : 'makeAdmin', 'star', () => this.#toggleAdmin(participant))}
        ${menuItem('takeOut', 'leave', () => this.#removeParticipant(participant), true)}
      </div></chat-sheet>`
  }

  /** Nothing of the room before is shown any longer; the tab stays. */
  #onRoomChange(): void {
    this.files = null
    this.adding = false
    this.menu = null
    this.confirming = null
    this.#openTab(this.tab)
  }

  #openTab(tab: Tab): void {
    this.tab = tab
    this.error = ''
    if (tab === 'panelFiles') void this.#loadFiles()
  }

  #onTabKeydown = (event: KeyboardEvent): void => {
    const direction = this.matches(':dir(rtl)') ? -1 : 1
    const step = { ArrowLeft: -direction, ArrowRight: direction }[event.key]
    if (step === undefined) return
    this.#openTab(TABS[(TABS.indexOf(this.tab) + step + TABS.length) % TABS.length]!)
    void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(`#${this.tab}`)?.focus())
  }

  async #loadFiles(): Promise<void> {
    const { room } = this
    const read = async (message_type: 'image' | 'file') => {
      const query = { room: room.id, message_type, page_size: FILES_PAGE }
      const { data } = await this.client.api.GET('/api/chat/messages/', { params: { query } })
      return data.results.flatMap(filesOf)
    }
    await this.#attempt(async () => {
      const files = (await Promise.all([read('image'), read('file')])).flat()
      if (room !== this.room) return
      this.files = {
        images: files.filter(one => one.message_type === 'image'),
        documents: files.filter(one => one.message_type === 'file'),
      }
    })
  }

  #addUser(user: User): Promise<void> {
    this.adding = false
    return this.#attempt(() =>
      this.client.api.POST('/api/chat/participants/', { body: { room: this.room.id, user: user.id } }),
    )
  }

  #toggleAdmin({ id, is_admin }: Participant): Promise<void> {
    this.menu = null
    const options = { params: { path: { id } }, body: { is_admin: !is_admin } }
    return this.#attempt(() => this.client.api.PATCH('/api/chat/participants/{id}/', options))
  }

  #removeParticipant({ id }: Participant): Promise<void> {
    this.menu = null
    const options = { params: { path: { id } } }
    return this.#attempt(() => this.client.api.DELETE('/api/chat/participants/{id}/', options))
  }

  #onRename = (event: SubmitEvent): void => {
    event.preventDefault()
    const name = String(new FormData(event.target as HTMLFormElement).get('name')).trim()
    const options = { params: { path: { id: this.room.id } }, body: { name } }
    if (name) void this.#attempt(() => this.client.api.PATCH('/api/chat/rooms/{id}/', options))
  }

  #mute(muted: boolean): Promise<void> {
    return this.#attempt(async () => {
      const options = { params: { path: { id: this.room.self!.id } }, body: { muted } }
      await this.client.api.POST('/api/chat/participants/{id}/mute/', options)
      await this.client.loadRooms()
    })
  }

  #confirm(action: 'leave' | 'archive'): void {
    this.confirming = action
  }

  #archive(archived: boolean): Promise<void> {
    this.confirming = null
    const options = { params: { path: { id: this.room.id } } }
    return this.#attempt(() =>
      archived
        ? this.client.api.POST('/api/chat/rooms/{id}/archive/', options)
        : this.client.api.POST('/api/chat/rooms/{id}/unarchive/', options),
    )
  }

  async #leave(): Promise<void> {
    this.confirming = null
    await this.#attempt(() =>
      this.client.api.POST('/api/chat/rooms/{id}/leave/', { params: { path: { id: this.room.id } } }),
    )
  }

  async #attempt(action: () => Promise<unknown>): Promise<void> {
    const { room } = this
    this.error = ''
    try {
      await action()
    } catch (cause) {
      if (room !== this.room) return
      this.error =
        cause instanceof ChatError && cause.status === 400 && cause.message ? cause.message : errorText(cause)
    }
    this.requestUpdate()
  }
}

/** Converts a REST message to the form that frames have. */
function toMessage(message: RestMessage): Message {
  return { ...message, room_id: message.room }
}

function settingsRow(
  iconName: IconName,
  text: TextKey,
  action: () => unknown,
  hint?: TextKey,
  danger = false,
) {
  return html`<button class="row ${danger ? 'danger' : ''}" @click=${action}>${icon(iconName)}
    <span>${t(text)}${hint ? html`<span class="small">${t(hint)}</span>` : nothing}</span></button>`
}
