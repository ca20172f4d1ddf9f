/** Registers the content of `<chat-app>`. */
import './define-dialogs.ts'
import './define-parts.ts'
import { ChatAppPanes } from './app/app-panes.ts'
import { ChatSignIn } from './app/sign-in.ts'
import { ChatSwitcher } from './app/switcher.ts'
import { ChatNewRoom } from './list/new-room.ts'
import { ChatRoomList } from './list/room-list.ts'
import { ChatRowMenu } from './list/row-menu.ts'
import { register } from './shared/register.ts'

register({
  'chat-room-list': ChatRoomList,
  'chat-new-room': ChatNewRoom,
  'chat-row-menu': ChatRowMenu,
  'chat-switcher': ChatSwitcher,
  'chat-sign-in': ChatSignIn,
  'chat-app-panes': ChatAppPanes,
})
