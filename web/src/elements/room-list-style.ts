/** How the list of rooms looks. */
import { css } from 'lit'

export const roomListStyle = css`
  :host {
    display: flex;
    flex-direction: column;
    height: 100%;
    min-height: 0;
    background: var(--_surface);
  }
  header {
    display: flex;
    align-items: center;
    gap: 4px;
    min-height: 56px;
    padding: env(safe-area-inset-top) 8px 0 12px;
  }
  header .field {
    position: relative;
    flex: 1;
  }
  header .field svg {
    position: absolute;
    inset-inline-start: 12px;
    top: calc(50% - 9px);
    width: 18px;
    height: 18px;
    color: var(--_text-2);
    pointer-events: none;
  }
  header input {
    padding-inline-start: 38px;
    border-radius: 20px;
  }
  .list {
    flex: 1;
    min-height: 0;
    overflow: auto;
    overscroll-behavior: contain;
    padding: 4px 8px calc(8px + env(safe-area-inset-bottom));
    scrollbar-width: thin;
    scrollbar-color: var(--_line) transparent;
  }
  .room {
    display: grid;
    grid-template: 'sign name time' 'sign text count' / auto 1fr auto;
    align-items: center;
    gap: 0 12px;
    width: 100%;
    min-height: 64px;
    padding: 8px;
    border-radius: 12px;
    --size: 48px;
    content-visibility: auto;
    contain-intrinsic-size: auto 64px;
  }
  .room:hover {
    background: var(--_hover);
  }
  .room[aria-current='true'] {
    background: var(--_mine);
  }
  .room chat-avatar {
    grid-area: sign;
  }
  .name {
    grid-area: name;
    display: flex;
    align-items: center;
    gap: 4px;
    min-width: 0;
    font-weight: 600;
  }
  .name svg {
    flex: none;
    width: 15px;
    height: 15px;
    color: var(--_text-2);
  }
  .room time {
    grid-area: time;
    font-size: 12px;
    color: var(--_text-2);
  }
  .text {
    grid-area: text;
    color: var(--_text-2);
    line-height: 20px;
  }
  .text i {
    font-style: normal;
    color: var(--_text);
  }
  .text .danger {
    color: var(--_danger);
  }
  .unread .text {
    color: var(--_text);
    font-weight: 600;
  }
  .count {
    grid-area: count;
    justify-self: end;
    min-width: 20px;
    padding: 0 6px;
    border-radius: 10px;
    background: var(--_accent);
    color: var(--_on-accent);
    font-size: 12px;
    font-weight: 600;
    line-height: 20px;
    text-align: center;
  }
  .quiet .name {
    font-weight: 400;
  }
  .quiet .count {
    background: var(--_text-2);
    color: var(--_surface);
  }
  h3 {
    padding: 16px 8px 4px;
    font-size: 13px;
    font-weight: 600;
    color: var(--_text-2);
  }
  .fold {
    display: flex;
    align-items: center;
    gap: 12px;
    width: 100%;
    min-height: 44px;
    padding: 0 8px;
    border-radius: 12px;
    color: var(--_text-2);
  }
  .fold:hover {
    background: var(--_hover);
  }
  .fold svg {
    width: 20px;
    height: 20px;
  }
  .bar {
    padding: 4px 16px;
    background: var(--_surface-2);
    font-size: 13px;
    text-align: center;
  }
  .none {
    padding: 48px 24px;
    text-align: center;
  }
  .none b {
    display: block;
    font-weight: 600;
  }
  .none .solid {
    margin-top: 16px;
  }
  .wait {
    height: 64px;
    padding: 8px;
  }
  .wait i {
    display: block;
    height: 48px;
    border-radius: 12px;
    background: var(--_surface-2);
  }
`
