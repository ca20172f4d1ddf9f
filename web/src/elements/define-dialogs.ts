/** Registers the sheet and the people picker, with the texts and icons of whatever is loaded on demand. */
import { ChatSearchFilters } from './search/search-filters.ts'
import { addIcons } from './shared/icons.ts'
import { LAZY_PATHS } from './shared/icons-lazy.ts'
import { PARTS_PATHS } from './shared/icons-parts.ts'
import { ChatPeoplePicker } from './shared/people-picker.ts'
import { register } from './shared/register.ts'
import { ChatSheet } from './shared/sheet.ts'
import { addTexts } from './shared/texts.ts'
import { LAZY_TEXTS } from './shared/texts-lazy.ts'

addTexts(LAZY_TEXTS)
addIcons({ ...PARTS_PATHS, ...LAZY_PATHS })
register({
  'chat-sheet': ChatSheet,
  'chat-people-picker': ChatPeoplePicker,
  'chat-search-filters': ChatSearchFilters,
})
