/** The styles of the room list. */
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
  chat-bell {
    flex: none;
    min-width: 40px;
  }
  .me {
    position: relative;
    --size: 32px;
  }
  .me .count {
    position: absolute;
    inset-block-start: -2px;
    inset-inline-end: -2px;
  }
  .menu .count {
    margin-inline-start: auto;
  }
  .whose {
    display: flex;
    align-items: center;
    gap: 12px;
    min-width: 220px;
    padding: 8px 12px 12px;
    --size: 40px;
  }
  .whose > span {
    display: grid;
    min-width: 0;
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
  .filters {
    display: flex;
    gap: 8px;
    flex: none;
    padding: 0 12px 4px;
    overflow-x: auto;
    scrollbar-width: none;
  }
  .filters button {
    flex: none;
    min-height: 32px;
    padding: 0 12px;
    border: 1px solid var(--_line);
    border-radius: 16px;
    font-size: 13px;
    color: var(--_text-2);
  }
  .filters [aria-pressed='true'] {
    border-color: transparent;
    background: var(--_mine);
    color: var(--_text);
    font-weight: 600;
  }
  @media (pointer: coarse) {
    .filters button {
      min-height: 44px;
      border-radius: 22px;
    }
  }
  @media (forced-colors: active) {
    .filters [aria-pressed='true'] {
      border-color: Highlight;
    }
  }
  .room {
    display: grid;
    grid-template: 'sign .' 'sign .' / auto 1fr;
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
  @media (forced-colors: active) {
    .room[aria-current='true']:not(:focus-visible) {
      outline: 2px solid Highlight;
      outline-offset: -2px;
    }
  }
  .room chat-avatar {
    grid-area: sign;
  }
  .line {
    display: flex;
    align-items: center;
    gap: 8px;
    min-width: 0;
  }
  .name {
    flex: 1;
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
    font-size: 12px;
    color: var(--_text-2);
  }
  .text {
    display: flex;
    gap: 4px;
    flex: 1;
    min-width: 0;
    color: var(--_text-2);
    line-height: 20px;
  }
  .text i {
    flex: none;
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
    outline: 1px solid transparent;
  }
  .quiet .name {
    font-weight: 400;
  }
  .quiet .count:not(.at) {
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
  .none {
    padding: 48px 24px;
    text-align: center;
    text-wrap: balance;
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
