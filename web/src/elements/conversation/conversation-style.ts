/** The styles of a conversation. */
import { css } from 'lit'

export const conversationStyle = css`
  :host {
    display: flex;
    position: relative;
    min-height: 0;
    height: 100%;
    overflow: hidden;
    background: var(--_surface);
    container-type: inline-size;
  }
  .main {
    position: relative;
    display: flex;
    flex: 1;
    min-width: 0;
    flex-direction: column;
  }
  header {
    display: flex;
    align-items: center;
    flex: none;
    gap: 4px;
    min-height: 56px;
    padding: env(safe-area-inset-top) 8px 0;
    border-bottom: 1px solid var(--_line);
  }
  .who {
    display: flex;
    flex: 1;
    align-items: center;
    gap: 12px;
    min-width: 0;
    min-height: 48px;
    padding: 0 8px;
    border-radius: 12px;
    --size: 38px;
  }
  .who:hover {
    background: var(--_hover);
  }
  .who > div {
    min-width: 0;
  }
  h2 {
    font-weight: 600;
    line-height: 20px;
  }
  chat-presence {
    display: block;
    min-height: 18px;
  }
  .closed {
    display: flex;
    align-items: center;
    justify-content: center;
    gap: 8px;
    min-height: 56px;
    padding: 8px 16px calc(8px + env(safe-area-inset-bottom));
    border-top: 1px solid var(--_line);
    color: var(--_text-2);
  }
  .nothing {
    margin: auto;
    padding: 24px;
    text-align: center;
  }
  .nothing b {
    font-weight: 600;
  }
  .toast {
    position: absolute;
    bottom: 72px;
    inset-inline: 16px;
    z-index: 4;
    width: fit-content;
    margin: auto;
    padding: 8px 16px;
    border-radius: 12px;
    background: var(--_text);
    color: var(--_surface);
    font-size: 13px;
    box-shadow: var(--_shadow);
  }
`
