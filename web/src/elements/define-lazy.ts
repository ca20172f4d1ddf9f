/** Registers the elements of overlay and sidebar. */

import './define-dialogs.ts'
import './define-parts.ts'
import { ChatAttach } from './composer/attach.ts'
import { ChatAttachments } from './composer/attachments.ts'
import { ChatEmoji } from './composer/emoji.ts'
import { ChatActions } from './conversation/actions.ts'
import { ChatDropZone } from './conversation/drop-zone.ts'
import { ChatForward } from './conversation/forward.ts'
import { ChatOverlay } from './conversation/overlay.ts'
import { ChatVersions } from './conversation/versions.ts'
import { ChatPanel } from './panel/panel.ts'
import { ChatRoomLevel } from './panel/room-level.ts'
import { ChatRoomSettings } from './panel/room-settings.ts'
import { ChatSearch } from './panel/search.ts'
import { ChatSidebar } from './panel/sidebar.ts'
import { ChatPinList } from './pins/pin-list.ts'
import { ChatReactors } from './reactions/reactors.ts'
import { addIcons } from './shared/icons.ts'
import { NOTIFICATION_PATHS } from './shared/icons-notifications.ts'
import { register } from './shared/register.ts'
import { addTexts } from './shared/texts.ts'

import { ATTACH_TEXTS } from './shared/texts-attach.ts'
import { NOTIFICATION_TEXTS } from './shared/texts-notifications.ts'
import { ChatViewer } from './viewer/viewer.ts'

addTexts(ATTACH_TEXTS)
addTexts(NOTIFICATION_TEXTS)
addIcons(NOTIFICATION_PATHS)
register({
  'chat-actions': ChatActions,
  'chat-attach': ChatAttach,
  'chat-attachments': ChatAttachments,
  'chat-drop-zone': ChatDropZone,
  'chat-emoji': ChatEmoji,
  'chat-forward': ChatForward,
  'chat-overlay': ChatOverlay,
  'chat-panel': ChatPanel,
  'chat-pin-list': ChatPinList,
  'chat-reactors': ChatReactors,
  'chat-room-level': ChatRoomLevel,
  'chat-room-settings': ChatRoomSettings,
  'chat-search': ChatSearch,
  'chat-sidebar': ChatSidebar,
  'chat-versions': ChatVersions,
  'chat-viewer': ChatViewer,
})
