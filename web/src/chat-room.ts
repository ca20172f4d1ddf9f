/**
 * The tag: a page of any origin loads this module and has `<chat-room>`, `<chat-badge>` and `<chat-app>`.
 *
 * The last one brings its parts when it is on a page.
 */
import './elements/define.ts'

export { setTexts } from './elements/texts.ts'
