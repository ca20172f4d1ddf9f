/** Registers what is in `<chat-app>`. */
import './define-more.ts'
import { ChatApp } from './app.ts'
import { ChatNewRoom } from './new-room.ts'
import { register } from './register.ts'
import { ChatRoomList } from './room-list.ts'
import { ChatSignIn } from './sign-in.ts'

register({
  'chat-room-list': ChatRoomList,
  'chat-new-room': ChatNewRoom,
  'chat-sign-in': ChatSignIn,
  'chat-app-panes': ChatApp,
})
