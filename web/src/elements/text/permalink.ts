/** Links to messages of this chat, which open in place. */

const PERMALINK = /\/chat\/r\/([0-9a-f-]{36})\/(\d+)\/?$/i

/** What shows the messages of one room. */
interface RoomView extends Element {
  readonly roomId: string
  readonly client: { readonly server: string }
  show(seq: number): Promise<void>
}

/** What shows any room. */
interface Panes extends Element {
  openMessage(room: string, seq: number): void
}

/** Returns the address of a message. */
export function permalinkOf(server: string, room: string, seq: number): string {
  return `${server}/chat/r/${room}/${seq}`
}

/** Opens a link to a message in place, if it is one of this chat and of a room that can be shown here. */
export function onLinkClick(event: MouseEvent): void {
  const { href } = event.currentTarget as HTMLAnchorElement
  const [link, room, seq] = PERMALINK.exec(href) ?? []
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  const path = event.composedPath().filter(one => one instanceof Element)
  const view = path.find((one): one is RoomView => one.localName === 'chat-conversation')
  if (!view || href !== `${view.client.server}${link}`) return
  const panes = path.find((one): one is Panes => one.localName === 'chat-app-panes')
  if (view.roomId !== room && !panes) return
  event.preventDefault()
  if (view.roomId === room) void view.show(Number(seq))
  else panes!.openMessage(room!, Number(seq))
}
