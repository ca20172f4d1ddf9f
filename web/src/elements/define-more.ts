/** Registers what opens over or beside a conversation. */
import { ChatActions } from './actions.ts'
import { ChatAttach } from './attach.ts'
import { ChatChosen } from './chosen.ts'
import { ChatDrop } from './drop.ts'
import { ChatEmoji } from './emoji.ts'
import { addIcons } from './icons.ts'
import { MORE_PATHS } from './icons-more.ts'
import { ChatOver } from './over.ts'
import { ChatPanel } from './panel.ts'
import { ChatPeoplePicker } from './people-picker.ts'
import { register } from './register.ts'
import { ChatSearch } from './search.ts'
import { ChatSheet } from './sheet.ts'
import { ChatSide } from './side.ts'
import { addTexts } from './texts.ts'
import { MORE } from './texts-more.ts'
import { ChatViewer } from './viewer.ts'

addTexts(MORE)
addIcons(MORE_PATHS)
register({
  'chat-sheet': ChatSheet,
  'chat-actions': ChatActions,
  'chat-attach': ChatAttach,
  'chat-chosen': ChatChosen,
  'chat-drop': ChatDrop,
  'chat-emoji': ChatEmoji,
  'chat-over': ChatOver,
  'chat-panel': ChatPanel,
  'chat-people-picker': ChatPeoplePicker,
  'chat-search': ChatSearch,
  'chat-side': ChatSide,
  'chat-viewer': ChatViewer,
})
