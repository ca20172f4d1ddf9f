/** The layout of the whole chat: list and conversation side by side, or one pane at a time. */
import { css } from 'lit'

export const appPanesStyle = css`
  chat-app-panes {
    display: block;
    position: relative;
    height: 100%;
    overflow: hidden;
  }
  .panes {
    display: flex;
    height: 100%;
  }
  chat-room-list {
    flex: none;
    width: 320px;
    border-inline-end: 1px solid var(--_line);
  }
  main {
    position: relative;
    flex: 1;
    min-width: 0;
    height: 100%;
    background: var(--_surface);
  }
  .none {
    display: grid;
    place-content: center;
    height: 100%;
    padding: 24px;
    text-align: center;
    background: var(--_surface-2);
    text-wrap: balance;
  }
  .refusal {
    position: absolute;
    inset: 0 0 auto;
    z-index: 2;
    margin: 0;
    padding: 8px 16px;
    text-align: center;
    background: var(--_surface-2);
    border-block-end: 1px solid var(--_line);
  }
  .none b {
    font-weight: 600;
  }
  .narrow chat-room-list,
  .narrow main {
    position: absolute;
    inset: 0;
    width: auto;
    border: 0;
    transition:
      transform 200ms ease-out,
      visibility 200ms;
  }
  .narrow main {
    z-index: 1;
    transform: translateX(100%);
    visibility: hidden;
  }
  .narrow.in main {
    transform: none;
    visibility: visible;
  }
  .narrow.in chat-room-list {
    transform: translateX(-25%);
    visibility: hidden;
  }
  .narrow:not(.in) main:dir(rtl) {
    transform: translateX(-100%);
  }
  .narrow.in chat-room-list:dir(rtl) {
    transform: translateX(25%);
  }
  .held main,
  .held chat-room-list {
    transition: none;
  }
  .held.in chat-room-list {
    visibility: visible;
  }
`
