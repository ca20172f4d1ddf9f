/** Registers what a room has around its messages and the composer, and exports what is no element. */
import { ChatPostArea } from './conversation/post-area.ts'
import { ChatPresence } from './conversation/presence.ts'
import { ChatPins } from './pins/pins-bar.ts'
import { addIcons } from './shared/icons.ts'
import { ROOM_PATHS } from './shared/icons-room.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'
import { ROOM_TEXTS } from './shared/texts-room.ts'

export { DropTarget } from './conversation/drop-target.ts'

addTexts(ROOM_TEXTS)
addIcons(ROOM_PATHS)
register({
  'chat-pins': ChatPins,
  'chat-post-area': ChatPostArea,
  'chat-presence': ChatPresence,
})
